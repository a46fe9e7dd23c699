"""The `profiles` blueprint: the own profile and uploads."""

import functools
from datetime import date
from typing import Any

import msgspec
from flask import current_app, g, request

from swiper.clock import today
from swiper.errors import FileMissingError
from swiper.extensions import limiter, this_g
from swiper.http.blueprints import Blueprint, ok
from swiper.http.hooks import require_login
from swiper.http.schemas import load_json_or_form
from swiper.http.serialization import compile_schema
from swiper.http.view_marks import doc, link
from swiper.profiles import profile_changes, profiles, schemas, tasks, uploads
from swiper.profiles.models import UploadKind
from swiper.signals import city_chosen
from swiper.tasks.queue import enqueue
from swiper.vip.levels import VipStatus

blueprint = Blueprint("profiles", __name__, url_prefix="/api/user", tag="User")
blueprint.before_request(require_login())

_dump_own = compile_schema(schemas.OwnOut)


# Cached in the process: the result depends only on account, VIP status and day.
@functools.lru_cache(maxsize=2_000)
def _own_answer(account: profiles.Account, current: VipStatus, _day: date) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(_dump_own(profiles.own_view(account, current))))


_profile_in = schemas.ProfileIn()


def _read_changes() -> dict[str, Any]:
    """The fields of the body that change something."""
    shown = _dump_own(profiles.own_view(g.account, g.vip_status))
    stored = {"dating_location": g.account.dating_location}
    sent = load_json_or_form(request)
    changes: dict[str, Any] = _profile_in.load(profile_changes.leave_out_unchanged(sent, shown, stored))
    return changes


@blueprint.get("/profile")
@blueprint.output(schemas.OwnOut)
def show_profile() -> dict[str, Any]:
    """The caller's own user, preferences and VIP state."""
    kept = this_g()
    return ok(_own_answer(kept.account, kept.vip_status, today()))


@blueprint.post("/profile/modify")
@blueprint.input(schemas.ProfileIn, location="json_or_form", arg_name="changes", read=_read_changes)
@blueprint.output(schemas.OwnOut)
def modify_profile(changes: dict[str, Any]) -> dict[str, Any]:
    """Change any of the profile and preference fields."""
    profile_changes.change_profile(g.uid, changes, g.vip_status)
    if "location" in changes:
        city_chosen.send(None, uid=g.uid)
    return ok(profiles.own_view(profiles.own_account(g.uid)))


def _store_upload(kind: UploadKind, files: dict[str, Any]) -> dict[str, Any]:
    file = files.get(kind.value)
    data = file.read() if file is not None else b""
    # A browser sends a part without name and content if no file was chosen.
    if file is None or not (data or file.filename):
        raise FileMissingError()
    upload = uploads.add_upload(g.uid, kind, data)
    if not upload.is_pushed:
        enqueue(tasks.push_upload, g.uid, upload.id)
    return ok(upload)


def _per_user() -> str:
    return f"u:{g.uid}"


def _upload_limit() -> str:
    return f"{current_app.config['UPLOADS_PER_USER_PER_HOUR']}/hour"


@blueprint.post("/avatar/upload")
@doc(refusals=(413, 429))
@limiter.limit(_upload_limit, key_func=_per_user)
@blueprint.input(schemas.AvatarIn, location="files", arg_name="files")
@blueprint.output(schemas.UploadOut, status_code=201)
def upload_avatar(files: dict[str, Any]) -> dict[str, Any]:
    """Replace the caller's avatar."""
    return _store_upload(UploadKind.AVATAR, files)


@blueprint.post("/photos")
@doc(refusals=(413, 429), links=(link("delete_photo", parameters={"photo_id": "/data/id"}),))
@limiter.limit(_upload_limit, key_func=_per_user)
@blueprint.input(schemas.PhotoIn, location="files", arg_name="files")
@blueprint.output(schemas.UploadOut, status_code=201)
def upload_photo(files: dict[str, Any]) -> dict[str, Any]:
    """Add a photo to the caller's album of up to nine."""
    return _store_upload(UploadKind.PHOTO, files)


@blueprint.delete("/photos/<id:photo_id>")
@blueprint.output({}, status_code=200)
def delete_photo(photo_id: int) -> dict[str, Any]:
    """Take a photo out of the caller's album."""
    uploads.delete_photo(g.uid, photo_id)
    return ok({})
