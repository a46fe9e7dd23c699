"""The `web` blueprint: everything that is not the JSON API."""

from pathlib import Path

import flask_swagger_ui
from apiflask import APIBlueprint
from flask import Response, current_app, jsonify, make_response, render_template, send_from_directory

from swiper.errors import UnavailableError
from swiper.web.health import check_parts
from swiper.web.portraits import draw_portrait

blueprint = APIBlueprint(
    "web",
    __name__,
    static_folder="static",
    static_url_path="/assets",
    template_folder="templates",
    enable_openapi=False,
)

SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
DAY_SECONDS = 86_400
# Swagger UI sets style attributes; nothing else here may.
DOCS_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)


@blueprint.get("/")
def show_start_page() -> str:
    """Where a person lands who opens the address in a browser."""
    return render_template("index.html", is_development=current_app.config["ENVIRONMENT"] == "development")


@blueprint.get("/healthz")
def show_liveness() -> Response:
    """200 while this process answers, whatever the others do."""
    return jsonify({"code": 0, "data": {"status": "ok"}})


@blueprint.get("/readyz")
def show_readiness() -> Response:
    """200 when database and Redis answer, 503 otherwise."""
    parts = check_parts()
    if not all(parts.values()):
        raise UnavailableError(data=parts)
    return jsonify({"code": 0, "data": parts})


@blueprint.get("/docs")
def show_docs() -> Response:
    """The API document for people, from assets of our own."""
    response = make_response(render_template("docs.html"))
    response.headers["Content-Security-Policy"] = DOCS_POLICY
    return response


@blueprint.get("/docs/assets/<path:name>")
def show_docs_asset(name: str) -> Response:
    """A file of the vendored Swagger UI."""
    return send_from_directory(SWAGGER_UI, name, max_age=DAY_SECONDS)


@blueprint.get("/media/<path:key>")
def show_upload(key: str) -> Response:
    """An uploaded picture; in production nginx answers this before us."""
    return send_from_directory(current_app.config["MEDIA_DIR"], key, max_age=30 * DAY_SECONDS)


@blueprint.get("/portraits/<any(male, female):sex>/<id:seed>.svg")
def show_portrait(sex: str, seed: int) -> Response:
    """A robot's portrait."""
    response = Response(draw_portrait(sex, seed), mimetype="image/svg+xml")
    response.cache_control.public = True
    response.cache_control.max_age = 30 * DAY_SECONDS
    return response
