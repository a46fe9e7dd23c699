"""The `web` blueprint: everything that is not the JSON API."""

from pathlib import Path

import flask_swagger_ui
from apiflask import APIBlueprint
from flask import Response, current_app, jsonify, make_response, render_template, request, send_from_directory

from config.settings import ROOT
from swiper.errors import NotFoundError, UnavailableError
from swiper.sms.console import outbox_path
from swiper.web.assets import find_asset, serve_asset
from swiper.web.health import check_parts, is_ready
from swiper.web.portraits import draw_portrait
from swiper.web.security_contact import security_text
from swiper.web.shell import (
    ASSETS,
    ENTRY,
    LANGUAGES,
    STATIC,
    STYLESHEET,
    catalogue,
    modules_behind,
    shell_files,
    shell_version,
    stylesheet,
)

blueprint = APIBlueprint("web", __name__, template_folder="templates", enable_openapi=False)

SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
DAY_SECONDS = 86_400
# Swagger UI sets style attributes, so this page alone allows them.
DOCS_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)


@blueprint.get("/")
def show_start_page() -> Response:
    """The shell of the web client, which loads all content from the JSON API."""
    config = current_app.config
    # Without a cookie, the page does not ask for the profile. The API decides whether the session is valid.
    has_cookie = config["SESSION_COOKIE_NAME"] in request.cookies
    page = render_template(
        "index.html",
        modules=modules_behind(ENTRY, f"app/screens/{'deck' if has_cookie else 'login'}.js"),
        stylesheet=STYLESHEET,
        texts=[catalogue(language) for language in LANGUAGES],
        region=config["DEFAULT_REGION"],
        has_cookie=has_cookie,
        outbox=find_outbox(),
    )
    response = make_response(page)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def find_outbox() -> str:
    """The file with the codes of the console provider, for the hint in development; empty if codes are sent by SMS."""
    config = current_app.config
    if config["ENVIRONMENT"] != "development" or "console" not in config["SMS_PROVIDERS"]:
        return ""
    path = outbox_path(config)
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


@blueprint.get("/sw.js")
def show_service_worker() -> Response:
    """The service worker with the list of files to cache. It controls only pages below its own path, hence `/`."""
    script = render_template("sw.js", version=shell_version(), files=shell_files())
    response = Response(script, mimetype="text/javascript")
    response.headers["Cache-Control"] = "no-cache"
    return response


@blueprint.get(STYLESHEET)
def show_stylesheet() -> Response:
    """All stylesheets of the web client in one file."""
    return serve_asset(stylesheet(), request)


@blueprint.get(f"{ASSETS}/<path:filename>", endpoint="static")
def show_asset(filename: str) -> Response:
    """A file of the web client; in production nginx serves it."""
    asset = find_asset(STATIC, filename)
    return serve_asset(asset, request) if asset else send_from_directory(STATIC, filename)


@blueprint.get("/healthz")
def show_liveness() -> Response:
    """200 while this process answers, also when the database or Redis is away."""
    return jsonify({"code": 0, "data": {"status": "ok"}})


@blueprint.get("/readyz")
def show_readiness() -> Response:
    """200 if this instance can serve, else 503; `data` tells which part fails."""
    parts = check_parts()
    if not is_ready(parts):
        raise UnavailableError(data=parts)
    return jsonify({"code": 0, "data": parts})


@blueprint.get("/.well-known/security.txt")
def show_security_contact() -> Response:
    """Whom to tell about a vulnerability (RFC 9116); 404 unless SECURITY_CONTACT is set."""
    config = current_app.config
    if not config["SECURITY_CONTACT"]:
        raise NotFoundError()
    response = Response(security_text(config["SECURITY_CONTACT"], config["SECURITY_CANONICAL_URL"]))
    response.content_type = "text/plain; charset=utf-8"
    return response


@blueprint.get("/docs")
def show_docs() -> Response:
    """The API document as a page of Swagger UI, with local assets."""
    response = make_response(render_template("docs.html"))
    response.headers["Content-Security-Policy"] = DOCS_POLICY
    return response


@blueprint.get("/docs/assets/<path:name>")
def show_docs_asset(name: str) -> Response:
    """A file of the vendored Swagger UI."""
    return send_from_directory(SWAGGER_UI, name, max_age=DAY_SECONDS)


@blueprint.get("/media/<path:key>")
def show_upload(key: str) -> Response:
    """An uploaded picture; in production nginx serves it."""
    return send_from_directory(current_app.config["MEDIA_DIR"], key, max_age=30 * DAY_SECONDS)


@blueprint.get("/portraits/<any(male, female):sex>/<id:seed>.svg")
def show_portrait(sex: str, seed: int) -> Response:
    """A robot's portrait."""
    response = Response(draw_portrait(sex, seed), mimetype="image/svg+xml")
    response.cache_control.public = True
    response.cache_control.max_age = 30 * DAY_SECONDS
    return response
