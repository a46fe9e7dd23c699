"""IP bans: requests from banned addresses and networks are refused before the login is checked."""
