"""The operator's desk: people, bans, levels, sales, orders, figures, and the log of who changed what."""
