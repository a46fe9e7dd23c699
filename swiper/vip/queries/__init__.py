"""Statements about levels and quotas, purchases, and flash sales. They never commit."""
