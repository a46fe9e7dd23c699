"""What the login and session endpoints take and answer."""

from apiflask import Schema
from marshmallow import fields, validate

from swiper.auth.challenges import Delivery
from swiper.http.schemas import Flag, InputSchema
from swiper.profiles.schemas import OwnOut

# Beside the body, the operations that a fresh code must confirm take it in this header.
CONFIRM_CODE = {
    "name": "X-Confirm-Code",
    "in": "header",
    "required": False,
    "description": "A fresh code of the own number, from `verify`; without one the answer is 1017.",
    "schema": {"type": "string"},
}
PHONE = {"format": "phone", "examples": ["13800138000", "+852 6123 4567"]}


class PhoneIn(InputSchema):
    """A number, and the challenge that an earlier request for a code has answered; browsers keep that in a cookie."""

    phonenum = fields.String(
        required=True, validate=validate.Length(min=1, max=64, error="Wrong length."), metadata=PHONE
    )
    challenge = fields.String(validate=validate.Length(max=64, error="Wrong length."))


class VerifyIn(PhoneIn):
    """Ask for a login code; `altcha` is the solution of the proof of work that error 1016 asked for."""

    altcha = fields.String(validate=validate.Length(max=2048, error="Wrong length."))


class LoginIn(PhoneIn):
    """Log in with the code."""

    vcode = fields.String(required=True, validate=validate.Length(min=1, max=64, error="Wrong length."))
    bearer = Flag(load_default=False, metadata={"description": "Answer the session in `session`, and set no cookie."})


class LogoutIn(InputSchema):
    """`all` ends every session of the caller."""

    all = Flag(load_default=False)


class ConfirmIn(InputSchema):
    """A fresh code of the caller's own number, which the header `X-Confirm-Code` may carry as well."""

    vcode = fields.String(load_default="", validate=validate.Length(max=64, error="Wrong length."))


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


class VerifyOut(Schema):
    """How long the code lives, when the next may be asked for, and what was sent.

    `sent_before`: the code that was sent last is on the phone already. `accounts_only`: for the rest of the day codes
    are sent to numbers with an account alone.
    """

    expires_in = fields.Integer(required=True)
    resend_in = fields.Integer(required=True)
    challenge = fields.String(required=True, metadata={"description": "Sent along with the login, or as the cookie."})
    delivery = fields.String(required=True, validate=validate.OneOf([kind.value for kind in Delivery]))
