"""What the forms of the desk send. Times are those of the service's time zone, money is in yuan."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import current_app
from marshmallow import EXCLUDE, ValidationError, fields, pre_load, validate, validates_schema

from swiper.admin.audit import Action
from swiper.clock import now
from swiper.http.schemas import Id, InputSchema, Text, WholeNumber, in_range
from swiper.profiles.models import Sex
from swiper.vip.models import OrderState
from swiper.vip.money import parse_yuan
from swiper.vip.sales import LONGEST_AHEAD

LONGEST_REASON = 200


class LocalMoment(fields.Field[datetime]):
    """What an input of the type `datetime-local` sends, in the service's time zone."""

    default_error_messages = {"invalid": "Not a valid date and time."}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
            if moment.tzinfo is not None:
                raise self.make_error("invalid")
            # The first and the last day that there are may have no moment of theirs in UTC.
            return moment.replace(tzinfo=ZoneInfo(current_app.config["TIMEZONE"])).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise self.make_error("invalid") from error


class Yuan(fields.Field[int]):
    """An amount in yuan with at most two decimals, read as cents."""

    default_error_messages = {"invalid": "Not a valid amount."}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        try:
            return parse_yuan(str(value))
        except ValueError as error:
            raise self.make_error("invalid") from error


class FormIn(InputSchema):
    """Base of all forms; an input that was left empty counts as not sent."""

    @pre_load
    def leave_out_empty(self, data: Any, **kwargs: Any) -> Any:
        """Browsers send every input of a form, filled in or not. The token was looked at before."""
        sent = data.copy()
        sent.poplist("form_token")
        for name in [name for name, value in data.items() if value == "" and name in self.fields]:
            sent.poplist(name)
        return sent


class CodeIn(FormIn):
    """A code of six digits, or a recovery code; and the page to go to."""

    code = Text(shortest=1, longest=64, required=True)
    next = Text(longest=200, load_default="")


class SetupIn(FormIn):
    """The login code that was sent; nothing from somebody who has just logged in."""

    code = Text(longest=64, load_default="")


def in_future(moment: datetime) -> None:
    """An end that has passed would be none; one that is a lifetime away has no place in some databases."""
    if moment <= now():
        raise ValidationError("The end must be in the future.")
    if moment > now() + LONGEST_AHEAD:
        raise ValidationError("Out of range.")


class SuspensionIn(FormIn):
    """A reason, and an end unless it is for good."""

    reason = Text(shortest=1, longest=LONGEST_REASON, required=True)
    until = LocalMoment(load_default=None, validate=in_future)


class CorrectionIn(FormIn):
    """Sex and birthday; what is left empty stays as it is."""

    sex = fields.Enum(Sex, by_value=True, load_default=None, error_messages={"unknown": "Not one of the choices."})
    birthday = fields.Date(load_default=None)


class BanIn(FormIn):
    """An address or network, a reason, and an end unless it is for good."""

    network = Text(shortest=1, longest=64, required=True)
    reason = Text(longest=LONGEST_REASON, load_default="")
    until = LocalMoment(load_default=None, validate=in_future)


class NetworkIn(FormIn):
    """A ban by its network."""

    network = Text(shortest=1, longest=64, required=True)


class LevelIn(FormIn):
    """Name and monthly price of a level; its permissions are read beside."""

    name = Text(shortest=1, longest=32, required=True)
    price = Yuan(required=True)


class SaleIn(FormIn):
    """A flash sale; the price is for the whole period."""

    name = Text(shortest=1, longest=64, required=True)
    level = WholeNumber(required=True, validate=in_range(1, 100))
    months = WholeNumber(required=True, validate=in_range(1, 36))
    price_cents = Yuan(required=True, data_key="price")
    stock = WholeNumber(required=True, validate=in_range(1, 10_000_000))
    starts_at = LocalMoment(required=True)
    ends_at = LocalMoment(required=True, validate=in_future)

    @validates_schema
    def check_window(self, data: Any, **kwargs: Any) -> None:
        """A window that ends before it begins is never open."""
        if "starts_at" in data and "ends_at" in data and data["ends_at"] <= data["starts_at"]:
            raise ValidationError({"ends_at": ["The end must come after the beginning."]})


class SearchIn(FormIn):
    """An id, a phone number, or the beginning of a nickname."""

    wanted = Text(shortest=1, longest=64, required=True)


class QueryIn(FormIn):
    """What is left of a page's address; anything unknown in it is passed over."""

    class Meta:
        """An address may carry a language, and what others add to links."""

        unknown = EXCLUDE

    below = Id(load_default=None)


class PeopleQuery(QueryIn):
    """A page of the list, or of those whose nickname begins with something."""

    nickname = Text(longest=64, load_default="")
    after = Text(longest=160, load_default="")


class OrdersQuery(QueryIn):
    """Orders in one state, or of one person."""

    state = fields.Enum(
        OrderState, by_value=True, load_default=None, error_messages={"unknown": "Not one of the choices."}
    )
    uid = Id(load_default=None)


class ActionsQuery(QueryIn):
    """Lines of the log of one operator, one kind, or about one thing."""

    uid = Id(load_default=None)
    action = fields.String(load_default=None, validate=validate.OneOf(list(Action), error="Not one of the choices."))
    target = Text(longest=64, load_default=None)


class DaysQuery(QueryIn):
    """How many days the charts show."""

    days = WholeNumber(load_default=30, validate=in_range(1, 90))
