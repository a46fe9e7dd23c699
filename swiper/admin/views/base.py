"""What all pages share: the blueprint, the language, rendering, redirects with a notice, and template filters."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import current_app, g, make_response, redirect, render_template, request, url_for
from itsdangerous import BadData
from werkzeug.wrappers import Response

from swiper.admin.messages import say
from swiper.admin.permissions import form_token, require_operator, signer
from swiper.http.blueprints import SameOriginBlueprint
from swiper.http.responses import error_response, explain, language

# Rows on a page. A next page starts at the last row of the page before, so no query counts all rows.
PAGE_SIZE = 50
LANGUAGES = ("en", "zh")
LANGUAGE_COOKIE = "swiper_desk_language"
LANGUAGE_SECONDS = 365 * 86_400
# A change redirects to a page, which shows a notice from this signed cookie. The session is no place for the notice: a
# request that is still running would write the session back, also after a logout everywhere.
NOTICE_COOKIE = "swiper_desk_notice"
NOTICE_SECONDS = 60

blueprint = SameOriginBlueprint(
    "admin",
    "swiper.admin",
    url_prefix="/admin",
    static_folder="static",
    static_url_path="/static",
    template_folder="templates",
    enable_openapi=False,
)
blueprint.before_request(require_operator)


def admin_language() -> str:
    """The language, `en` or `zh`, that the operator has chosen; by default the language of the browser."""
    for chosen in (request.args.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if chosen in LANGUAGES:
            return str(chosen)
    return language()


def _set_cookie(response: Response, name: str, value: str, seconds: int) -> None:
    is_secure = current_app.config["SESSION_COOKIE_SECURE"]
    response.set_cookie(name, value, max_age=seconds, path="/admin", secure=is_secure, httponly=True, samesite="Lax")


@blueprint.after_request
def store_language(response: Any) -> Any:
    """Store the language of the query parameter `lang` in a cookie."""
    if "operator" in g and request.args.get("lang") in LANGUAGES:
        _set_cookie(response, LANGUAGE_COOKIE, admin_language(), LANGUAGE_SECONDS)
    return response


def render_page(template: str, status: int = 200, **values: Any) -> Response:
    """Render a template of the desk with `values`, and with the notice of the change that redirected here, once."""
    notice = _notice()
    response = make_response(render_template(f"admin/{template}", notice=notice, **values), status)
    if notice:
        response.delete_cookie(NOTICE_COOKIE, path="/admin")
    return response


def _notice() -> list[str] | None:
    """`ok` or `error`, and an English sentence; None without a notice."""
    try:
        notice: list[str] = signer("notice").loads(request.cookies.get(NOTICE_COOKIE, ""), max_age=NOTICE_SECONDS)
    except BadData:
        return None
    return notice


def redirect_to(endpoint: str, sentence: str = "", kind: str = "ok", **values: Any) -> Response:
    """Redirect from a change to a page, so that a reload does not repeat the change.

    `sentence` is the notice, in English; `kind` is `ok` or `error`; `values` are the arguments of the URL.
    """
    response = redirect(url_for(endpoint, **values), 303)
    if sentence:
        _set_cookie(response, NOTICE_COOKIE, signer("notice").dumps([kind, sentence]), NOTICE_SECONDS)
    return response


@blueprint.errorhandler(Exception)
def show_error(error: Exception) -> Response:
    """Show an error to operators as a page, to others as the JSON of the API."""
    known = explain(error)
    if "operator" not in g:
        return error_response(known)
    response = render_page("error.html", known.status, error=known)
    response.headers.update(known.headers)
    return response


@blueprint.context_processor
def template_values() -> dict[str, Any]:
    """What all templates have: translation, language, form token and the URL of the page in the other language."""
    page_language = admin_language()

    def t(text: str, **values: Any) -> str:
        return say(text, page_language).format(**values) if values else say(text, page_language)

    return {
        "t": t,
        "page_language": page_language,
        "form_token": form_token,
        "other_language_url": _other_language_url(page_language),
    }


def _other_language_url(page_language: str) -> str | None:
    """The URL of this page in the other language; None for the answer to a POST, which has no such URL."""
    if request.method != "GET":
        return None
    other = next(name for name in LANGUAGES if name != page_language)
    return f"{request.path}?{urlencode(request.args.to_dict() | {'lang': other})}"


@blueprint.app_template_filter("admin_time")
def format_time(moment: datetime | None) -> str:
    """A time in `TIMEZONE`, to the minute; empty for None."""
    if moment is None:
        return ""
    return moment.astimezone(ZoneInfo(current_app.config["TIMEZONE"])).strftime("%Y-%m-%d %H:%M")


@blueprint.app_template_filter("admin_clock")
def format_clock(seconds: int) -> str:
    """The time of day, in `TIMEZONE`, of `seconds` since 1970."""
    return format_time(datetime.fromtimestamp(seconds, UTC))[-5:]


@blueprint.app_template_filter("admin_input_time")
def format_input_time(moment: datetime) -> str:
    """A time as the value of an input of the type `datetime-local`."""
    return format_time(moment).replace(" ", "T")


@blueprint.app_template_filter("admin_yuan")
def format_yuan(cents: int) -> str:
    """`cents` in yuan, with two decimals."""
    return f"{Decimal(cents) / 100:.2f}"
