"""The commands of `deploy/swiper`. They run before any environment exists, so they import only Python's own modules."""
