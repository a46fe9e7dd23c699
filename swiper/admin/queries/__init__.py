"""SQL of the operator's desk: its own tables, and what it shows of the tables of other features."""
