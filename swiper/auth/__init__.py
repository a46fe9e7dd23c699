"""Phone login: codes, challenges, budgets, sessions and devices."""
