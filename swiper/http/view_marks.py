"""Decorators that declare what a view's schemas cannot say. They set attributes, which outer decorators keep."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])
JsonSchema = Mapping[str, Any]


@dataclass(frozen=True)
class doc:  # noqa: N801 (it is used as a decorator, by the name that API frameworks give it)
    """Complete the view's operation in the OpenAPI document.

    `refusals`: statuses of errors, except those that follow from the method, the login and the parameters.
    `links`: operations that can follow, each made by `link`.
    `parameters`: headers that the view reads itself, as OpenAPI parameters.
    `path_schemas`: the schemas of parameters in the path, by name; a function if the schema depends on the
    configuration. All other parameters in the path are ids.
    `json_body`: the schema of a body that the view reads itself.
    `needs_setting`: the document omits the operation if this setting is off.
    """

    refusals: tuple[int, ...] = ()
    links: tuple[dict[str, Any], ...] = ()
    parameters: tuple[dict[str, Any], ...] = ()
    path_schemas: Mapping[str, JsonSchema | Callable[[], JsonSchema]] = field(default_factory=dict)
    json_body: JsonSchema | None = None
    needs_setting: str = ""

    def __call__(self, view: View) -> View:
        """Set the attribute on `view`, and return `view`."""
        view.operation_doc = self  # type: ignore[attr-defined]
        return view


_NO_DOC = doc()


def doc_of(view: Any) -> doc:
    """Return what `doc` declares of a view."""
    found: doc = getattr(view, "operation_doc", _NO_DOC)
    return found


def link(
    operation_id: str, *, parameters: Mapping[str, str] | None = None, body: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return an OpenAPI link to an operation that takes values from the response.

    `parameters` or `body` map a name of that operation's input to the JSON pointer of its value in the response.
    """
    place, pointers = ("parameters", parameters) if parameters else ("requestBody", body or {})
    values = {name: f"$response.body#{pointer}" for name, pointer in pointers.items()}
    return {"operationId": operation_id, place: values}


def webhook(view: View) -> View:
    """Declare that another service calls the view with a signed body: any media type and any origin are accepted."""
    view.is_webhook = view.reads_body = True  # type: ignore[attr-defined]
    return view


def changing_get(view: View) -> View:
    """Declare that the view changes something on GET, so that requests from pages of other origins are refused."""
    view.is_changing_get = True  # type: ignore[attr-defined]
    return view
