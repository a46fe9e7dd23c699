"""Robots: invented people of a demo. A command makes them, and they reply by themselves."""
