"""The shape of a strategy: four functions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

Body: TypeAlias = dict[str, Any]


def _leave(_body: Body) -> None:
    """Set nothing."""


def _accept(_body: Body) -> list[Cause]:
    return []


def _accept_update(_new: Body, _old: Body) -> list[Cause]:
    return []


@dataclass(frozen=True, slots=True)
class Strategy:
    """``default`` fills ``body`` in place; the checks return what is wrong, empty when nothing is.

    ``check`` runs on create and update, ``check_update`` on update besides, with the new and the
    old object. ``name`` is the rule for ``metadata.name``.
    """

    default: Callable[[Body], None] = _leave
    check: Callable[[Body], list[Cause]] = _accept
    check_update: Callable[[Body, Body], list[Cause]] = _accept_update
    name: names.Rule = names.subdomain


def immutable(field: str, value: Any, new: Any, old: Any) -> list[Cause]:
    """``field is immutable`` when the two differ; ``value`` is what the message shows."""
    if new == old:
        return []
    return [names.invalid(field, value, "field is immutable")]
