"""Decorators that stand beside a view and say what its schemas cannot. Decorators around them keep the marks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])
JsonSchema = Mapping[str, Any]


@dataclass(frozen=True)
class doc:  # noqa: N801 (it is used as a decorator, by the name that API frameworks give it)
    """Complete the view's operation in the OpenAPI document.

    `refusals`: statuses of errors that do not follow from the method, the login and the parameters.
    `links`: what can follow the answer, each made by `link`.
    `parameters`: headers that the view reads by itself, as OpenAPI parameters.
    `path_schemas`: by the name of a parameter in the path, what is known of its values; a function where the
    configuration decides it. Other parameters in the path are ids.
    `json_body`: the schema of a body that the view reads by itself.
    `needs_setting`: the document leaves the operation out where this setting is off.
    """

    refusals: tuple[int, ...] = ()
    links: tuple[dict[str, Any], ...] = ()
    parameters: tuple[dict[str, Any], ...] = ()
    path_schemas: Mapping[str, JsonSchema | Callable[[], JsonSchema]] = field(default_factory=dict)
    json_body: JsonSchema | None = None
    needs_setting: str = ""

    def __call__(self, view: View) -> View:
        """Mark `view`."""
        view.operation_doc = self  # type: ignore[attr-defined]
        return view


_NO_DOC = doc()


def doc_of(view: Any) -> doc:
    """What `doc` says of a view."""
    found: doc = getattr(view, "operation_doc", _NO_DOC)
    return found


def link(
    operation_id: str, *, parameters: Mapping[str, str] | None = None, body: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """An OpenAPI link to an operation that takes values of the answer.

    `parameters` or `body` name what that operation takes, each with the JSON pointer of its value in the answer.
    """
    place, pointers = ("parameters", parameters) if parameters else ("requestBody", body or {})
    values = {name: f"$response.body#{pointer}" for name, pointer in pointers.items()}
    return {"operationId": operation_id, place: values}


def webhook(view: View) -> View:
    """Mark a view that another service calls with a signed body: it takes any kind of body, from any origin."""
    view.is_webhook = view.reads_body = True  # type: ignore[attr-defined]
    return view


def changing_get(view: View) -> View:
    """Mark a view that changes something by GET, so that pages of other origins may not start it."""
    view.is_changing_get = True  # type: ignore[attr-defined]
    return view
