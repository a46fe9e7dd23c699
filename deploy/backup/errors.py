"""What ends a command with one line."""


class BackupError(Exception):
    """A backup cannot be made, read or restored. Its text is for the operator, and holds no secret."""
