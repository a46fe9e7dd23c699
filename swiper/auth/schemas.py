"""What the account and profile endpoints take and answer."""

from datetime import date
from functools import partial
from typing import Any, NoReturn

from apiflask import Schema
from apiflask.fields import File
from marshmallow import ValidationError, fields, validate

from swiper.auth.challenges import Delivery
from swiper.auth.models import DatingSex, Sex
from swiper.auth.profiles import NO_ADULT, OLDEST, YOUNGEST, is_adult
from swiper.errors import FileMissingError, ProfileError
from swiper.http.schemas import Flag, Id, InputSchema, Text, WholeNumber, in_range
from swiper.vip.schemas import VipOut

SEXES = [sex.value for sex in Sex]
DATING_SEXES = [sex.value for sex in DatingSex]


class PhoneIn(InputSchema):
    """A number, and the challenge that an earlier request for a code has answered; browsers keep that in a cookie."""

    phonenum = fields.String(required=True, validate=validate.Length(min=1, max=64, error="Wrong length."))
    challenge = fields.String(validate=validate.Length(max=64, error="Wrong length."))


class VerifyIn(PhoneIn):
    """Ask for a login code; `altcha` is the solution of the proof of work that error 1016 asked for."""

    altcha = fields.String(validate=validate.Length(max=2048, error="Wrong length."))


class LoginIn(PhoneIn):
    """Log in with the code."""

    vcode = fields.String(required=True, validate=validate.Length(min=1, max=64, error="Wrong length."))
    bearer = Flag(load_default=False, metadata={"description": "Answer the session in `session`, and set no cookie."})


class ConfirmIn(InputSchema):
    """A fresh code of the caller's own number, which the header `X-Confirm-Code` may carry as well."""

    vcode = fields.String(load_default="", validate=validate.Length(max=64, error="Wrong length."))


class LogoutIn(InputSchema):
    """`all` ends every session of the caller."""

    all = Flag(load_default=False)


class Choice(fields.String):
    """One value of an enum, by its text."""

    def __init__(self, kind: type, **kwargs: Any) -> None:
        self.kind = kind
        choices = [member.value for member in kind]  # type: ignore[attr-defined]
        super().__init__(validate=validate.OneOf(choices, error="Not one of the choices."), **kwargs)

    def _validate(self, value: Any) -> None:
        super()._validate(value.value if isinstance(value, self.kind) else value)  # type: ignore[attr-defined]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        return self.kind(text) if text in [member.value for member in self.kind] else text  # type: ignore[attr-defined]


def check_birthday(birthday: date) -> None:
    """See `is_adult`."""
    if not is_adult(birthday):
        raise ValidationError(NO_ADULT)


def age_field() -> WholeNumber:
    """A bound of the ages that somebody wants to see."""
    return WholeNumber(validate=in_range(YOUNGEST, OLDEST))


class ProfileIn(InputSchema):
    """Any of the profile and preference fields, flat. A null preference goes back to its default.

    Whatever else the profile shows may be sent along as it is.
    """

    error_class = ProfileError

    nickname = Text(shortest=1, longest=32)
    sex = Choice(Sex)
    birthday = fields.Date(validate=check_birthday)
    location = Text(shortest=1, longest=64)
    bio = Text(longest=500, is_multiline=True)
    dating_sex = Choice(DatingSex, allow_none=True)
    dating_location = Text(shortest=1, longest=64, allow_none=True)
    min_distance = WholeNumber(validate=in_range(0, 20_000))
    max_distance = WholeNumber(validate=in_range(0, 20_000))
    min_dating_age = age_field()
    max_dating_age = age_field()
    vibration = Flag()
    only_match = Flag()
    auto_play = Flag()


class UploadIn(InputSchema):
    """Base of the uploads: without its file an upload is told so, whatever else it carries."""

    file_field: str

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> NoReturn:
        """Raise FileMissingError before any fault of other fields."""
        if self.file_field not in data:
            raise FileMissingError()
        super().handle_error(error, data, many=many, **kwargs)


class AvatarIn(UploadIn):
    """A picture: JPEG, PNG or WebP."""

    file_field = "avatar"
    avatar = File()


class PhotoIn(UploadIn):
    """A picture for the album: JPEG, PNG or WebP."""

    file_field = "photo"
    photo = File()


class PhotoOut(Schema):
    """One photo of an album."""

    id = Id(required=True)
    url = fields.String(required=True)


class CardOut(Schema):
    """What others see of a user: never phone, birthday, preferences or an exact position."""

    id = Id(required=True)
    nickname = fields.String(required=True)
    sex = fields.String(required=True, allow_none=True, validate=validate.OneOf(SEXES))
    age = fields.Integer(required=True, allow_none=True)
    location = fields.String(required=True, allow_none=True)
    bio = fields.String(required=True)
    avatar = fields.String(required=True)
    photos = fields.List(fields.Nested(PhotoOut), required=True)
    vip = fields.Nested(VipOut, required=True)


class OwnVipOut(VipOut):
    """The caller's own VIP state."""

    expires_at = fields.AwareDateTime(required=True, allow_none=True)


class OwnOut(CardOut):
    """The caller's own user with preferences."""

    phone = fields.String(required=True)
    birthday = fields.Date(required=True, allow_none=True)
    vip = fields.Nested(OwnVipOut, required=True)
    dating_sex = fields.String(required=True, allow_none=True, validate=validate.OneOf(DATING_SEXES))
    dating_location = fields.String(required=True, allow_none=True)
    min_distance = fields.Integer(required=True)
    max_distance = fields.Integer(required=True)
    min_dating_age = fields.Integer(required=True)
    max_dating_age = fields.Integer(required=True)
    vibration = fields.Boolean(required=True)
    only_match = fields.Boolean(required=True)
    auto_play = fields.Boolean(required=True)


class LoginOut(OwnOut):
    """The caller's own user; with `bearer=true` also the session, to be sent as `Authorization: Bearer`."""

    session = fields.String()


class SessionOut(Schema):
    """One of the caller's own logins: when, where, with which device."""

    id = fields.String(required=True)
    device = fields.String(required=True, metadata={"description": "By the User-Agent, such as `Chrome on Android`."})
    network = fields.String(required=True, metadata={"description": "/24 or /48 of the address of the last use."})
    created_at = fields.AwareDateTime(required=True, allow_none=True)
    last_seen_at = fields.AwareDateTime(required=True, allow_none=True, metadata={"description": "To the hour or so."})
    is_current = fields.Boolean(required=True)


class UploadOut(Schema):
    """A stored picture and where it is shown at this moment."""

    id = Id(required=True)
    url = fields.String(required=True)


class VerifyOut(Schema):
    """How long the code lives, when the next may be asked for, and what was sent.

    `sent_before`: the code that was sent last is on the phone already. `accounts_only`: for the rest of the day codes
    are sent to numbers with an account alone.
    """

    expires_in = fields.Integer(required=True)
    resend_in = fields.Integer(required=True)
    challenge = fields.String(required=True, metadata={"description": "Sent along with the login, or as the cookie."})
    delivery = fields.String(required=True, validate=validate.OneOf([kind.value for kind in Delivery]))


COLUMN_KINDS: dict[str, Any] = {
    "id": Id,
    "text": fields.String,
    "number": fields.Integer,
    "flag": fields.Boolean,
    # Moments and days are ISO 8601 text already.
    "moment": partial(fields.String, metadata={"format": "date-time"}),
    "day": partial(fields.String, metadata={"format": "date"}),
}


def rows(name: str, **columns: str) -> fields.List:
    """The rows of one table, a kind for each column; a kind with `?` may be null.

    Every column is named, so that a new one is told to anybody only once somebody has decided so.
    """
    made = {
        column: COLUMN_KINDS[kind.rstrip("?")](required=True, allow_none=kind.endswith("?"))
        for column, kind in columns.items()
    }
    return fields.List(fields.Nested(Schema.from_dict(made, name=name)), required=True)


class ExportOut(Schema):
    """Everything the service holds on the caller, table by table."""

    account = rows(
        "AccountRow",
        **{"id": "id", "phone": "text", "nickname": "text", "sex": "text?", "birthday": "day?", "location": "text?"},
        **{"bio": "text", "avatar": "text", "status": "text", "is_robot": "flag", "created_at": "moment"},
        deck_from="id?",
    )
    preferences = rows(
        "PreferencesRow",
        **{"uid": "id", "dating_sex": "text?", "dating_location": "text?"},
        **{"min_distance": "number", "max_distance": "number", "min_dating_age": "number", "max_dating_age": "number"},
        **{"vibration": "flag", "only_match": "flag", "auto_play": "flag"},
    )
    profile_changes = rows("ProfileChangeRow", uid="id", id="id", field="text", changed_at="moment")
    uploads = rows(
        "UploadRow",
        **{"uid": "id", "id": "id", "kind": "text", "key": "text", "url": "text", "is_pushed": "flag"},
        created_at="moment",
    )
    operator = rows("OperatorRow", uid="id", granted_at="moment")
    membership = rows("MembershipRow", uid="id", level="number", expires_at="moment")
    paid_periods = rows("PaidPeriodRow", uid="id", id="id", starts_at="moment", ends_at="moment", paid_cents="number")
    orders = rows(
        "OrderRow",
        **{"id": "id", "uid": "id", "level": "number", "months": "number", "amount_cents": "number"},
        **{"currency": "text", "provider": "text", "state": "text", "sale_id": "id?", "payment_id": "text?"},
        **{"created_at": "moment", "paid_at": "moment?"},
    )
    tickets = rows(
        "TicketRow",
        **{"uid": "id", "id": "id", "sale_id": "id", "state": "text", "order_id": "id?", "lapses": "number"},
        queued_at="moment",
    )
    quotas = rows("QuotaRow", uid="id", kind="text", day="day", used="number")
    swipes = rows("SwipeRow", uid="id", sid="id", kind="text", swiped_at="moment")
    friends = rows("FriendRow", uid1="id", uid2="id", matched_at="moment")
    open_sessions = fields.Integer(required=True)
    sessions = rows(
        "SessionRow",
        **{"id": "text", "device": "text", "network": "text", "created_at": "moment?", "last_seen_at": "moment?"},
    )
