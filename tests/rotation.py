"""What tests of a change of SECRET_KEY share."""

from collections.abc import Callable

import pytest
from flask import Flask

NEW_KEY = "the new key, of more than 32 characters"

# Call it with True to go on with the new key and the former one as its fallback, with False to forget the former one.
Rotate = Callable[[bool], None]


def rotation_of(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Rotate:
    """Return the function that changes the key of `app` as an operator does."""
    former = app.config["SECRET_KEY"]

    def rotate(is_former_kept: bool) -> None:
        monkeypatch.setitem(app.config, "SECRET_KEY", NEW_KEY)
        monkeypatch.setitem(app.config, "SECRET_KEY_FALLBACKS", [former] if is_former_kept else [])

    return rotate
