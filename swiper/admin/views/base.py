"""What all pages of the desk share: the blueprint, the language, and how a change answers."""

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

# `next` pages begin where the last one ended; nothing counts all rows of a table of millions.
PAGE = 50
LANGUAGES = ("en", "zh")
LANGUAGE_COOKIE = "swiper_desk_language"
LANGUAGE_SECONDS = 365 * 86_400
# What a change has to say rides in a signed cookie to the page that follows. In the session it would be written back
# by a request under way, and with it a session that a logout everywhere has ended meanwhile.
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


def desk_language() -> str:
    """The language that the operator has chosen, by default the browser's."""
    for chosen in (request.args.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if chosen in LANGUAGES:
            return str(chosen)
    return language()


def _cookie(response: Response, name: str, value: str, seconds: int) -> None:
    is_secure = current_app.config["SESSION_COOKIE_SECURE"]
    response.set_cookie(name, value, max_age=seconds, path="/admin", secure=is_secure, httponly=True, samesite="Lax")


@blueprint.after_request
def keep_language(response: Any) -> Any:
    """Remember the language that a link of the page has asked for."""
    if "operator" in g and request.args.get("lang") in LANGUAGES:
        _cookie(response, LANGUAGE_COOKIE, desk_language(), LANGUAGE_SECONDS)
    return response


def show(template: str, status: int = 200, **values: Any) -> Response:
    """A page, with what the change before it had to say."""
    notice = _notice()
    response = make_response(render_template(f"admin/{template}", notice=notice, **values), status)
    if notice:
        response.delete_cookie(NOTICE_COOKIE, path="/admin")
    return response


def _notice() -> list[str] | None:
    """`ok` or `error`, and an English sentence of the catalogue."""
    try:
        notice: list[str] = signer("notice").loads(request.cookies.get(NOTICE_COOKIE, ""), max_age=NOTICE_SECONDS)
    except BadData:
        return None
    return notice


def go(endpoint: str, sentence: str = "", kind: str = "ok", **values: Any) -> Response:
    """Send the browser from a change to the page that shows it, so that loading that again repeats nothing."""
    response = redirect(url_for(endpoint, **values), 303)
    if sentence:
        _cookie(response, NOTICE_COOKIE, signer("notice").dumps([kind, sentence]), NOTICE_SECONDS)
    return response


@blueprint.errorhandler(Exception)
def show_error(error: Exception) -> Response:
    """Operators read errors as a page; nobody else learns that there is one."""
    known = explain(error)
    if "operator" not in g:
        return error_response(known)
    response = show("error.html", known.status, error=known)
    response.headers.update(known.headers)
    return response


@blueprint.context_processor
def add_words() -> dict[str, Any]:
    """What templates may call."""
    spoken = desk_language()

    def t(text: str, **values: Any) -> str:
        return say(text, spoken).format(**values) if values else say(text, spoken)

    return {"t": t, "spoken": spoken, "form_token": form_token, "other_language": _other_language(spoken)}


def _other_language(spoken: str) -> str | None:
    """The address of this page in the other language; None where it was no page that can be asked for again."""
    if request.method != "GET":
        return None
    other = next(name for name in LANGUAGES if name != spoken)
    return f"{request.path}?{urlencode(request.args.to_dict() | {'lang': other})}"


@blueprint.app_template_filter("desk_moment")
def tell_moment(moment: datetime | None) -> str:
    """A moment in the service's time zone, to the minute."""
    if moment is None:
        return ""
    return moment.astimezone(ZoneInfo(current_app.config["TIMEZONE"])).strftime("%Y-%m-%d %H:%M")


@blueprint.app_template_filter("desk_clock")
def tell_clock(seconds: int) -> str:
    """The time of day of a moment in seconds since 1970."""
    return tell_moment(datetime.fromtimestamp(seconds, UTC))[-5:]


@blueprint.app_template_filter("desk_input_moment")
def tell_input_moment(moment: datetime) -> str:
    """A moment as an input of the type `datetime-local` takes it."""
    return tell_moment(moment).replace(" ", "T")


@blueprint.app_template_filter("desk_yuan")
def tell_yuan(cents: int) -> str:
    """An amount of cents in yuan."""
    return f"{Decimal(cents) / 100:.2f}"
