"""The frame of an evaluation and what code over it looks like."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pilothouse.services.machinery.cel.errors import EvaluationError

# [cost so far, limit, variables and locals…]
Frame = list[Any]
Run = Callable[[Frame], Any]
FIRST_SLOT = 2


class Code(NamedTuple):
    """Compiled code and the part of its cost that every complete run has."""

    run: Run
    cost: int
    # Whether it is a literal, or built of literals alone: such values are made once.
    constant: bool = False


class Failed:
    """Stands in a slot for a bound variable whose expression had no value."""

    __slots__ = ("error",)

    def __init__(self, error: EvaluationError) -> None:
        self.error = error
