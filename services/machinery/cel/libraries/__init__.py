"""Function libraries: each module has `DECLARATIONS` and `IMPLEMENTATIONS` by overload id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pilothouse.services.machinery.cel.libraries import (
    addresses,
    authorization,
    conversions,
    lists,
    named,
    optionals,
    quantities,
    standard,
    strings,
    times,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilothouse.services.machinery.cel.declarations import Overload


class Library(Protocol):
    """What a library module offers."""

    DECLARATIONS: dict[str, tuple[Overload, ...]]
    IMPLEMENTATIONS: dict[str, Callable[..., Any]]


LIBRARIES: tuple[Library, ...] = (
    standard,
    conversions,
    times,
    strings,
    optionals,
    lists,
    quantities,
    addresses,
    named,
    authorization,
)
