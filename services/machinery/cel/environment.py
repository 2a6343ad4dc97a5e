"""What expressions of one kind may use: variables with their types, and function libraries."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from pilothouse.services.machinery.cel.compiler import Signature
from pilothouse.services.machinery.cel.declarations import Overload, merge
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
    from collections.abc import Callable, Mapping

    from pilothouse.services.machinery.cel.schema import Declaration
    from pilothouse.services.machinery.cel.types import Type


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
FUNCTIONS: dict[str, tuple[Overload, ...]] = merge(*(library.DECLARATIONS for library in LIBRARIES))
SIGNATURES: dict[str, Signature] = {
    overload.id: Signature(overload.args, library.IMPLEMENTATIONS[overload.id])
    for library in LIBRARIES
    for overloads in library.DECLARATIONS.values()
    for overload in overloads
    if overload.id in library.IMPLEMENTATIONS
}


@dataclass(frozen=True)
class Environment:
    """Variables by name; `bindings` allows `cel.bind`; `types` are constructible objects by name.

    A variable's declaration comes from `schema_type` (JSON values of a schema), or from `declare`
    for CEL values and JSON of no known schema (`declare(types.DYN)`).
    """

    variables: Mapping[str, Declaration]
    bindings: bool = False
    types: Mapping[str, Type] = field(default_factory=dict)

    @cached_property
    def variable_types(self) -> dict[str, Type]:
        """Static types by name, constructible objects as `type NAME`."""
        found = {name: declaration.type for name, declaration in self.variables.items()}
        return found | {f"type {name}": type_ for name, type_ in self.types.items()}

    @property
    def functions(self) -> Mapping[str, tuple[Overload, ...]]:
        """Overloads by function name."""
        return FUNCTIONS
