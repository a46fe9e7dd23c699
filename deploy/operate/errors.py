"""What ends a command of `deploy/swiper` with one line."""


class OperateError(Exception):
    """A command cannot go on. Its text is for the operator and may have several lines."""
