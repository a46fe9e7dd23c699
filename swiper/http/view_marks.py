"""Decorators that stand beside a view and say of it what its schemas cannot."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class ViewDoc:
    """What the OpenAPI document says of one view; `doc` explains the fields."""

    path_values: Mapping[str, Callable[[], list[str]]] = field(default_factory=dict)


NO_DOC = ViewDoc()


def doc(**details: Any) -> Callable[[View], View]:
    """Complete the view's entry in the OpenAPI document.

    `path_values`: by the name of a parameter in the path, a function that lists its possible values.
    """

    def mark(view: View) -> View:
        view.doc = ViewDoc(**details)  # type: ignore[attr-defined]
        return view

    return mark


def doc_of(view: Any) -> ViewDoc:
    """What `doc` has said of a view, also of one that further decorators wrap."""
    found: ViewDoc = getattr(view, "doc", NO_DOC)
    return found
