"""Values that belong to a user, kept beside the database."""
