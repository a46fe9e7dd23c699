"""Schemas of the forms and of the query parameters. Forms have times in `TIMEZONE` and money in yuan."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import current_app
from marshmallow import EXCLUDE, ValidationError, fields, validate, validates_schema
from werkzeug.datastructures import MultiDict

from swiper.admin.audit import Action
from swiper.clock import now
from swiper.http.schemas import Id, InputSchema, Text, TextFields, WholeNumber, in_range
from swiper.profiles.models import Sex
from swiper.vip.models import OrderState
from swiper.vip.money import parse_yuan
from swiper.vip.sales import LONGEST_AHEAD

MAX_REASON_LENGTH = 200


class LocalTime(fields.Field[datetime]):
    """The value of an input of the type `datetime-local`, a time in `TIMEZONE`; loaded as UTC."""

    default_error_messages = {"invalid": "Not a valid date and time."}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
            if moment.tzinfo is not None:
                raise self.make_error("invalid")
            # On the first and the last day of the calendar, a local time may have no UTC time.
            return moment.replace(tzinfo=ZoneInfo(current_app.config["TIMEZONE"])).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise self.make_error("invalid") from error


class Yuan(fields.Field[int]):
    """An amount in yuan with at most two decimals; loaded as cents."""

    default_error_messages = {"invalid": "Not a valid amount."}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        try:
            return parse_yuan(str(value))
        except ValueError as error:
            raise self.make_error("invalid") from error


class FormIn(InputSchema):
    """The base of all forms. An empty input counts as not sent."""

    def prepare(self, given: MultiDict[str, Any]) -> TextFields:
        """Remove empty inputs, which browsers send too, and the form token, which was checked before."""
        sent: MultiDict[str, Any] = MultiDict(given)
        sent.poplist("form_token")
        for name in [name for name, value in given.items() if value == "" and name in self.fields]:
            sent.poplist(name)
        return super().prepare(sent)


class CodeIn(FormIn):
    """A code of the authenticator or a recovery code, and the path to redirect to."""

    code = Text(shortest=1, longest=64, required=True)
    next = Text(longest=200, load_default="")


class SetupIn(FormIn):
    """The login code that was sent; empty right after a login."""

    code = Text(longest=64, load_default="")


def in_future(moment: datetime) -> None:
    """Raise ValidationError for a past time, and for one that is too far ahead for some databases."""
    if moment <= now():
        raise ValidationError("The end must be in the future.")
    if moment > now() + LONGEST_AHEAD:
        raise ValidationError("Out of range.")


class SuspensionIn(FormIn):
    """A reason, and an end; without an end the suspension is permanent."""

    reason = Text(shortest=1, longest=MAX_REASON_LENGTH, required=True)
    until = LocalTime(load_default=None, validate=in_future)


class CorrectionIn(FormIn):
    """Sex and birthday; an empty input changes nothing."""

    sex = fields.Enum(Sex, by_value=True, load_default=None, error_messages={"unknown": "Not one of the choices."})
    birthday = fields.Date(load_default=None)


class BanIn(FormIn):
    """An address or network, a reason, and an end; without an end the ban is permanent."""

    network = Text(shortest=1, longest=64, required=True)
    reason = Text(longest=MAX_REASON_LENGTH, load_default="")
    until = LocalTime(load_default=None, validate=in_future)


class NetworkIn(FormIn):
    """The network of a ban."""

    network = Text(shortest=1, longest=64, required=True)


class LevelIn(FormIn):
    """Name and monthly price of a level; the view reads the permissions."""

    name = Text(shortest=1, longest=32, required=True)
    price = Yuan(required=True)


class SaleIn(FormIn):
    """A flash sale; the price is for the whole period."""

    name = Text(shortest=1, longest=64, required=True)
    level = WholeNumber(required=True, validate=in_range(1, 100))
    months = WholeNumber(required=True, validate=in_range(1, 36))
    price_cents = Yuan(required=True, data_key="price")
    stock = WholeNumber(required=True, validate=in_range(1, 10_000_000))
    starts_at = LocalTime(required=True)
    ends_at = LocalTime(required=True, validate=in_future)

    @validates_schema
    def check_window(self, data: Any, **kwargs: Any) -> None:
        """Raise ValidationError for a sale that ends before it starts."""
        if "starts_at" in data and "ends_at" in data and data["ends_at"] <= data["starts_at"]:
            raise ValidationError({"ends_at": ["The end must come after the beginning."]})


class SearchIn(FormIn):
    """The text to search: an id, a phone number, or the beginning of a nickname."""

    wanted = Text(shortest=1, longest=64, required=True)


class QueryIn(FormIn):
    """The base of query parameters. `below` is the id at which the page starts; unknown parameters are ignored."""

    class Meta:
        """A URL may have a language, and parameters that other sites add to links."""

        unknown = EXCLUDE

    below = Id(load_default=None)


class PeopleQuery(QueryIn):
    """A page of all people, or of those whose nickname begins with `nickname`; `after` is the last one shown."""

    nickname = Text(longest=64, load_default="")
    after = Text(longest=160, load_default="")


class OrdersQuery(QueryIn):
    """Orders in one state, or of one buyer."""

    state = fields.Enum(
        OrderState, by_value=True, load_default=None, error_messages={"unknown": "Not one of the choices."}
    )
    uid = Id(load_default=None)


class ActionsQuery(QueryIn):
    """Entries of the log: of one operator, of one action, about one target."""

    uid = Id(load_default=None)
    action = fields.String(load_default=None, validate=validate.OneOf(list(Action), error="Not one of the choices."))
    target = Text(longest=64, load_default=None)


class DaysQuery(QueryIn):
    """The number of days that the charts show."""

    days = WholeNumber(load_default=30, validate=in_range(1, 90))
