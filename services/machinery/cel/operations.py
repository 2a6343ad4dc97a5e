"""What selections, presence tests and the logical operators do at run time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pilothouse.services.machinery.cel.errors import EvaluationError, no_such_overload
from pilothouse.services.machinery.cel.values import NONE, Optional, find, kind_of

if TYPE_CHECKING:
    from pilothouse.services.machinery.cel.frames import Code, Frame, Run
    from pilothouse.services.machinery.cel.types import Type


_ELEMENTS = frozenset(("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes"))


def accepts(param: Type, value: object) -> bool:
    """Whether a run time value fits a parameter, judged without a walk through it."""
    kind = param.kind
    if kind in ("dyn", "param"):
        return True
    if kind_of(value) != (param.name if kind in ("opaque", "struct") else kind):
        return False
    if isinstance(value, list) and value and param.params[0].kind in _ELEMENTS:
        # Overloads of lists differ by the elements only.
        return accepts(param.params[0], value[0])
    return True


def selection(operand: Run, field: str) -> Run:
    def run(f: Frame) -> Any:
        value = operand(f)
        try:
            return value[field]
        except KeyError:
            raise EvaluationError(f"no such key: {field}") from None
        except TypeError:
            if isinstance(value, Optional):
                return optional_element(value, field)
            raise no_such_overload() from None

    return run


def optional_selection(operand: Run, field: str) -> Run:
    return lambda f: optional_element(operand(f), field)


def optional_element(container: Any, key: Any) -> Optional:
    """`container[?key]`: nothing where the container lacks it."""
    if isinstance(container, Optional):
        return optional_element(container.value, key) if container.present else container
    if isinstance(container, list):
        if type(key) is not int:
            raise no_such_overload()
        return Optional(container[key]) if 0 <= key < len(container) else NONE
    if isinstance(container, Mapping):
        found, value = find(container, key)
        return Optional(value) if found else NONE
    raise no_such_overload()


def presence(operand: Run, field: str) -> Run:
    def run(f: Frame) -> Any:
        value = operand(f)
        if isinstance(value, Optional):
            if not value.present:
                return False
            value = value.value
        if isinstance(value, Mapping):
            return field in value
        raise no_such_overload()

    return run


def as_optional(value: object) -> Optional:
    if isinstance(value, Optional):
        return value
    raise EvaluationError(f"cannot initialize optional entry from non-optional value {value!r}")


def logical(left: Run, right: Code, *, decisive: bool) -> Run:
    """&& and ||: one side alone may decide, whatever the other side's error."""
    second, cost = right.run, right.cost

    def run(f: Frame) -> Any:
        error: EvaluationError | None = None
        try:
            value = left(f)
            if value is decisive:
                return decisive
            if type(value) is not bool:
                error = no_such_overload()
        except EvaluationError as failed:
            error = failed
        f[0] += cost
        try:
            value = second(f)
        except EvaluationError as failed:
            raise error or failed from None
        if value is decisive:
            return decisive
        if error is not None:
            raise error
        if type(value) is not bool:
            raise no_such_overload()
        return value

    return run
