"""IP bans: addresses and networks that are refused before anyone looks at a login."""
