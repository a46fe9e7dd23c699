"""The operator's desk at /admin: people, bans, levels, sales, orders, metrics, and a log of all changes."""
