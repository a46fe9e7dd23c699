"""Runs all of Swiper on one machine without other servers."""
