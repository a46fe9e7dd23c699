"""Phone login, accounts, profiles and uploads."""
