"""The short way from a request to its view finds what Flask and Werkzeug find, and runs what they run."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, after_this_request
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from swiper.fastpath.dispatch import KnownRoutes, QuickFlask, ReadyResponse

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "")
TWISTS: list[Callable[[str], str]] = [
    lambda path: path,
    lambda path: path + "/",
    lambda path: path.rstrip("/"),
    lambda path: path[1:],
    lambda path: "/" + path,
    lambda path: "//" + path,
    lambda path: path.upper(),
    lambda path: path + "x",
    lambda path: path.replace("/", "//"),
    lambda path: path + "\u00e9",
]


def outcome(match: Callable[[], Any]) -> Any:
    try:
        return match()
    except HTTPException as error:
        return type(error), error.code, sorted(getattr(error, "valid_methods", None) or [])


def paths_of(app: Flask) -> list[str]:
    """A path for each rule, and what is nearly one."""
    rules = [rule.rule.replace("<id:", "<").replace("<path:", "<") for rule in app.url_map.iter_rules()]
    return [twist(path.replace("<", "7").replace(">", "")) for path in rules for twist in TWISTS]


def adapters(app: Flask, **environ: str) -> tuple[Any, Any]:
    """The short way's and Werkzeug's own for one request."""
    with app.test_request_context(environ_overrides=environ) as ctx:
        return app.create_url_adapter(ctx.request), Flask.create_url_adapter(app, ctx.request)


def test_each_path_and_method_meets_the_rule_that_it_meets_in_werkzeug(app: Flask) -> None:
    found: set[str] = set()
    for method in METHODS:
        for path in paths_of(app):
            quick, full = adapters(app, REQUEST_METHOD=method, PATH_INFO=path)
            expected = outcome(lambda full=full: full.match(return_rule=True))
            assert outcome(lambda quick=quick: quick.match(return_rule=True)) == expected, (method, path)
            if isinstance(expected[0], Rule):
                found.add(expected[0].rule)
    assert found >= {rule.rule for rule in app.url_map.iter_rules() if not rule.arguments}
    assert len(found) > 40


def test_an_upgrade_asks_werkzeug(app: Flask) -> None:
    headers = {"HTTP_CONNECTION": "Upgrade", "HTTP_UPGRADE": "websocket", "PATH_INFO": "/healthz"}
    quick, full = adapters(app, **headers)
    assert outcome(lambda: quick.match(return_rule=True)) == outcome(lambda: full.match(return_rule=True))
    assert outcome(lambda: quick.match(return_rule=True))[1] == 400


def test_what_else_flask_asks_an_adapter_is_answered_by_werkzeugs(app: Flask) -> None:
    quick, full = adapters(app, PATH_INFO="/healthz", HTTP_HOST="example.org")
    assert isinstance(quick, KnownRoutes)
    assert quick.build("auth.login") == full.build("auth.login") == "/api/user/login"
    assert quick.build("auth.login", force_external=True) == "http://example.org/api/user/login"
    assert set(quick.allowed_methods("/api/user/login")) == set(full.allowed_methods("/api/user/login"))


@pytest.mark.parametrize("setting", [{"SERVER_NAME": "example.org"}, {"TRUSTED_HOSTS": ["example.org"]}])
def test_a_setting_about_hosts_leaves_all_to_flask(make_app: Callable[..., Flask], setting: dict[str, Any]) -> None:
    app = make_app()
    app.config.update(setting)
    with app.test_request_context("/healthz", base_url="http://example.org") as ctx:
        assert not isinstance(app.create_url_adapter(ctx.request), KnownRoutes)
    if "TRUSTED_HOSTS" in setting:
        assert app.test_client().get("/healthz", headers={"Host": "evil.example"}).status_code == 400


@pytest.fixture
def hooked(make_app: Callable[..., Flask]) -> tuple[FlaskClient, list[str]]:
    """An application that notes which of its hooks run, beside those that are there anyway."""
    app, calls = make_app(), []
    assert isinstance(app, QuickFlask)
    for scope in (None, "auth", "vip"):
        app.before_request_funcs.setdefault(scope, []).append(lambda scope=scope: calls.append(f"before {scope}"))

        def after(response: Response, scope: str | None = scope) -> Response:
            calls.append(f"after {scope}")
            return response

        app.after_request_funcs.setdefault(scope, []).append(after)

    def last(response: Response) -> Response:
        calls.append("after this")
        return response

    app.before_request_funcs[None].append(lambda: after_this_request(last) and None)
    return app.test_client(), calls


@pytest.mark.parametrize(
    ("path", "scope"), [("/api/vip/levels", "vip"), ("/api/user/profile", "auth"), ("/healthz", None), ("/no", None)]
)
def test_hooks_run_as_in_flask(hooked: tuple[FlaskClient, list[str]], path: str, scope: str | None) -> None:
    client, calls = hooked
    client.get(path)
    own = [] if scope is None else [scope]
    # The login hook of `auth` refuses before what was added behind it.
    before = [] if scope == "auth" else own
    assert calls == [
        "before None",
        *(f"before {each}" for each in before),
        "after this",
        *(f"after {each}" for each in own),
        "after None",
    ]


def test_a_ready_answer_is_sent_as_any_other(app: Flask) -> None:
    def sent(response: Response, method: str) -> tuple[bytes, str, dict[str, str]]:
        with app.test_request_context(method=method) as ctx:
            body, status, headers = response.get_wsgi_response(ctx.request.environ)
            if isinstance(response, ReadyResponse):
                started: list[Any] = []
                body = response(ctx.request.environ, lambda *head: started.extend(head))
                status, headers = started
            return b"".join(body), status, dict(headers)

    for method in ("GET", "HEAD"):
        for status in (200, 201):
            own = ReadyResponse(b'{"a": 1}', status, [("ETag", '"x"')])
            usual = Response(b'{"a": 1}', status, [("ETag", '"x"')], content_type="application/json")
            for response in (own, usual):
                response.headers.add("Retry-After", 5)
                response.headers.add("Content-Disposition", "attachment", filename="a.json")
                response.vary.add("Origin")
            assert sent(own, method) == sent(usual, method)
