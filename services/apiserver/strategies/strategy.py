"""The shape of a kind's behaviour: a handful of pure functions over its JSON document."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause
from pilothouse.services.machinery.names import Rule

Document: TypeAlias = dict[str, Any]


def _nothing(document: Document) -> None:
    """A kind that needs none."""


def _as_it_is(new: Document, old: Document | None) -> None:
    """A kind whose fields all belong to the client."""


def _fine(document: Document) -> Sequence[Cause]:
    return ()


def _fine_change(new: Document, old: Document) -> Sequence[Cause]:
    return ()


@dataclass(frozen=True, slots=True)
class Strategy:
    """``default`` and ``prepare`` change the document they are given; the others only look.

    ``prepare(new, old)`` fills what the server owns; ``old`` is None on create. ``generation``
    says whether ``metadata.generation`` counts changes of the spec. ``ttl_seconds`` of 0 means
    forever. ``orphans``: what a delete without a policy does to dependents.
    """

    name: Rule = names.subdomain
    default: Callable[[Document], None] = _nothing
    prepare: Callable[[Document, Document | None], None] = _as_it_is
    check: Callable[[Document], Sequence[Cause]] = _fine
    check_update: Callable[[Document, Document], Sequence[Cause]] = _fine_change
    generation: bool = False
    ttl_seconds: int = 0
    orphans: bool = False


def immutable(field: str, new: Any, old: Any) -> list[Cause]:
    """The error of a field that changed and must not."""
    return [] if new == old else [names.invalid(field, new, "field is immutable")]
