"""All SQL of this feature. The functions run in the caller's transaction and never commit."""
