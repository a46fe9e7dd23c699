"""What all schemas share: loading and checking of input, ids, text, paging, the schema of the envelope."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from apiflask import Schema
from apiflask.fields import File
from flask import Request
from marshmallow import RAISE, ValidationError, fields, validate
from werkzeug.datastructures import MultiDict

from swiper.characters import clean_text, is_showable
from swiper.errors import ApiError, ParamError
from swiper.http.bodies import FORM, JSON, MULTIPART, TEXT_KINDS, check_count, check_kind, parse_form
from swiper.ids import MAX_ID

# How many unknown fields an error names, and how many characters of each name.
MAX_UNKNOWN_NAMES = 10
MAX_NAME_CHARACTERS = 64
# The OpenAPI schemas of our own kinds of fields.
ID_DOCUMENT = {"type": "string", "format": "int64", "pattern": "^[1-9][0-9]{0,18}$"}
TEXT_FORMAT = "plain-text"
# Allowance for surrounding space, and for characters that normal form C combines.
SPARE_CHARACTERS = 1000


def load_json_or_form(request: Request) -> Any:
    """Return the fields in the body of `request`. Raises ParamError or UnsupportedBodyError for a malformed body."""
    kind = check_kind(request, TEXT_KINDS)
    if kind == JSON:
        return _load_json(request.get_data())
    if kind == FORM:
        return MultiDict(parse_form(request.get_data()))
    return request.form if kind else {}


def _load_query(request: Request, _schema: Schema) -> Any:
    return request.args


def _load_body(request: Request, _schema: Schema) -> Any:
    return load_json_or_form(request)


def _load_files(request: Any, schema: Schema) -> Any:
    """Return the files and fields of a multipart body. Raises ParamError, or UnsupportedBodyError for other bodies."""
    if not check_kind(request, (MULTIPART,)):
        return {}
    request.file_fields = frozenset(name for name, field in schema.fields.items() if isinstance(field, File))
    given = MultiDict(request.files)
    given.update(request.form)
    return given


# By the location of a view's input, as OpenAPI and APIFlask name it.
LOADERS: Mapping[str, Callable[[Request, Schema], Any]] = {
    "query": _load_query,
    "json_or_form": _load_body,
    "files": _load_files,
}


def refuse_fields(request: Any) -> None:
    """Refuse any field in the body of `request`, for a view without input. Raises as `load_json_or_form`."""
    _NOTHING.load(load_json_or_form(request))


def _load_json(body: bytes) -> Any:
    try:
        return json.loads(body.decode(), object_pairs_hook=_object) if body else {}
    except (RecursionError, ValueError) as error:
        # JSON that is too deep, or has too long numbers, for Python's parser is refused as malformed.
        raise ParamError("The request body is not valid JSON.", status=400) from error


def _object(pairs: list[tuple[str, Any]]) -> Any:
    check_count(len(pairs))
    found = dict(pairs)
    # An object with a repeated name becomes a MultiDict like a form, and `InputSchema.prepare` refuses it.
    return found if len(found) == len(pairs) else MultiDict(pairs)


class TextFields(dict[str, Any]):
    """The fields of a form or query: each appears once, and all values are text, or None for a field that is null."""


class InputSchema(Schema):
    """Base of all input schemas. Loading raises `error_class` with the reasons by field."""

    error_class: type[ApiError] = ParamError

    class Meta:
        """Unknown fields are refused."""

        unknown = RAISE

    error_messages = {"unknown": "Unknown field.", "type": "Invalid input type."}

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> NoReturn:
        """Raise `error_class` in place of marshmallow's error."""
        raise self.error_class(errors=self._shown(error.normalized_messages()))

    def _shown(self, messages: dict[str, Any]) -> dict[str, Any]:
        """Return the reasons by field, with few unknown fields and short names of them."""
        unknown = [name for name in messages if name not in self.fields]
        named = {_short(name): messages[name] for name in unknown[:MAX_UNKNOWN_NAMES]}
        return {name: reasons for name, reasons in messages.items() if name in self.fields} | named

    def load(self, data: Any, **kwargs: Any) -> Any:
        """See marshmallow. `data` is parsed JSON, or the MultiDict of a form or query."""
        return super().load(self.prepare(data) if isinstance(data, MultiDict) else data, **kwargs)

    def prepare(self, given: MultiDict[str, Any]) -> TextFields:
        """Return the fields of a form or query, with null in place of an empty text for fields that may be null.

        A repeated field is refused, because it is unclear which value counts.
        """
        lists = given.to_dict(flat=False)
        found = TextFields({name: values[0] for name, values in lists.items()})
        repeated = {name: ["Invalid input type."] for name, values in lists.items() if len(values) > 1}
        if repeated:
            self.handle_error(ValidationError(repeated), given, many=False)
        for name, value in found.items():
            if value == "" and name in self.fields and self.fields[name].allow_none:
                found[name] = None
        return found


_NOTHING = InputSchema()


def _short(name: Any) -> str:
    text = str(name)
    return text if len(text) <= MAX_NAME_CHARACTERS else f"{text[:MAX_NAME_CHARACTERS]}…"


def is_text(data: Any) -> bool:
    """True for the fields of a form or query. JSON must write a number as a number."""
    return isinstance(data, TextFields)


class Id(fields.Field[int]):
    """A 64-bit id, in JSON a decimal string because JavaScript's numbers have 53 bits. Input may be an integer."""

    default_error_messages = {"invalid": "Not a valid id."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"metadata": ID_DOCUMENT} | kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else str(value)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise self.make_error("invalid")
        text = str(value)
        if not re.fullmatch(r"[0-9]{1,19}", text, re.ASCII) or not 0 < int(text) <= MAX_ID:
            raise self.make_error("invalid")
        return int(text)


class WholeNumber(fields.Integer):
    """An integer: a number in JSON, decimal digits in a form or query."""

    default_error_messages = {"invalid": "Not a valid integer."}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if is_text(data) and isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII):
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid")
        return value


class Flag(fields.Boolean):
    """A boolean: true or false in JSON, marshmallow's words and digits in a form or query."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not is_text(data) and not isinstance(value, bool):
            raise self.make_error("invalid")
        return super()._deserialize(value, attr, data, **kwargs)


class Text(fields.String):
    """Unicode text in normal form C, without surrounding space and invisible characters. See `clean_text`.

    `is_multiline` allows line breaks. `shortest` and `longest` are in characters, after `clean_text`.
    """

    def __init__(self, *, shortest: int = 0, longest: int, is_multiline: bool = False, **kwargs: Any) -> None:
        self.is_multiline = is_multiline
        self.shortest = shortest
        self.longest = longest
        document = {"format": TEXT_FORMAT, "minLength": shortest, "maxLength": longest}
        kwargs["metadata"] = document | kwargs.get("metadata", {})
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if len(text) > 4 * self.longest + SPARE_CHARACTERS:
            # Normalising combining marks in the wrong order takes quadratic time.
            raise ValidationError("Wrong length.")
        text = clean_text(text, is_multiline=self.is_multiline)
        if not all(map(is_showable, text)):
            raise ValidationError("It holds characters that cannot be shown.")
        if not self.shortest <= len(text) <= self.longest:
            raise ValidationError("Wrong length.")
        return text


def in_range(least: int | None, most: int | None) -> validate.Range:
    """Return a validator of the range, with a message that the catalogue translates."""
    return validate.Range(min=least, max=most, error="Out of range.")


class EnvelopeOut(Schema):
    """The envelope of a success. APIFlask replaces `data` with the schema of each view's output."""

    code = fields.Integer(required=True)
    data = fields.Raw(required=True)
