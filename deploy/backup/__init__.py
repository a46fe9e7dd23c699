"""Backups of a site: `python -m deploy.backup --help`. It runs in the environment of a release (docs/backup.md)."""
