"""Backups: archives, their keys, which ones stay, and the way back."""
