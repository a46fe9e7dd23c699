"""The pages of the operator's desk, one module for each."""
