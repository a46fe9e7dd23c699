"""The experiments; each module holds those about one subject."""
