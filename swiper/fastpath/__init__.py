"""What is not stock: connections that greenlets share, in the place of the libraries' pools. See `docs/fastpath.md`."""
