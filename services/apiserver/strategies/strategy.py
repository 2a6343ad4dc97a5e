"""The shape of a strategy: four functions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

Body: TypeAlias = dict[str, Any]


def _leave(_body: Body) -> None:
    """Set nothing."""


def _keep(_new: Body, _old: Body) -> None:
    """Carry nothing over."""


def _accept(_body: Body) -> list[Cause]:
    return []


def _accept_update(_new: Body, _old: Body) -> list[Cause]:
    return []


@dataclass(frozen=True, slots=True)
class Strategy:
    """``default`` fills ``body`` in place; the checks return what is wrong, empty when nothing is.

    ``check`` runs on create and update, ``check_create`` on create besides, ``check_update`` on
    update with the new and the old object, ``check_status`` alone on a write of the status.
    ``name`` is the rule for ``metadata.name``. ``keep`` carries over to a new object what an
    update may not touch or may leave out.
    """

    default: Callable[[Body], None] = _leave
    check: Callable[[Body], list[Cause]] = _accept
    check_update: Callable[[Body, Body], list[Cause]] = _accept_update
    name: names.Rule = names.subdomain
    check_create: Callable[[Body], list[Cause]] = _accept
    check_status: Callable[[Body, Body], list[Cause]] = _accept_update
    keep: Callable[[Body, Body], None] = _keep


def immutable(field: str, value: Any, new: Any, old: Any) -> list[Cause]:
    """``field is immutable`` when the two differ; ``value`` is what the message shows."""
    if new == old:
        return []
    return [names.invalid(field, value, "field is immutable")]
