"""The yardsticks: the bytes of one of Swiper's answers, sent by nothing but WSGI, and by nothing but a Flask view.

gunicorn loads them as it loads Swiper, with the same configuration. `BENCH_ANSWER` names the file with the answer.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, Response

_answer: dict[str, Any] = json.loads(Path(os.environ["BENCH_ANSWER"]).read_text())
_headers: list[tuple[str, str]] = [(name, value) for name, value in _answer["headers"]]
_body: bytes = _answer["body"].encode()

flask_app = Flask("bare")


def wsgi_app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """See PEP 3333."""
    start_response("200 OK", _headers)
    return [_body]


@flask_app.route(_answer["path"], methods=["GET", "POST"])
def show() -> Response:
    """The answer, and nothing else."""
    return Response(_body, headers=_headers)
