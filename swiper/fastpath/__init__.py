"""Connections that greenlets share, instead of the libraries' own pools. See `docs/fastpath.md`."""
