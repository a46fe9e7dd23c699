"""Input and output of the profile endpoints."""

from datetime import date
from typing import Any, NoReturn

from apiflask import Schema
from apiflask.fields import File
from marshmallow import ValidationError, fields, validate

from swiper.errors import FileMissingError, ProfileError
from swiper.http.schemas import Flag, Id, InputSchema, Text, WholeNumber, in_range
from swiper.profiles.models import DatingSex, Sex
from swiper.profiles.profiles import AGE_OUT_OF_RANGE, MAX_AGE, MIN_AGE, is_adult
from swiper.vip.schemas import VipOut

SEXES = [sex.value for sex in Sex]
DATING_SEXES = [sex.value for sex in DatingSex]


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
    """Raise ValidationError for a birthday that `is_adult` refuses."""
    if not is_adult(birthday):
        raise ValidationError(AGE_OUT_OF_RANGE)


def age_field() -> WholeNumber:
    """The lowest or highest age that somebody wants to see."""
    return WholeNumber(validate=in_range(MIN_AGE, MAX_AGE))


class ProfileIn(InputSchema):
    """Any fields of profile and preferences, in one flat object. A preference that is null gets its default.

    The other fields of the profile may be sent back with the values that it shows.
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
    """Base of the uploads: a missing file is reported before any error of other fields."""

    file_field: str

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> NoReturn:
        """Raise FileMissingError if the file is missing, otherwise ParamError with the errors of all fields."""
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


class UploadOut(Schema):
    """A stored picture and where it is shown at this moment."""

    id = Id(required=True)
    url = fields.String(required=True)
