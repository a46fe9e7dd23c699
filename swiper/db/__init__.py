"""The database: types, upserts, transactions, engines."""
