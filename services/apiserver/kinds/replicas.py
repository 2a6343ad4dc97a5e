"""The numbers and the selector that a custom object's Scale shows, found by their paths."""

from collections.abc import Sequence
from typing import Any

from pilothouse.services.apiserver.kinds.custom import ScalePaths
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

Document = dict[str, Any]

REPLICAS_MAX = 2**31 - 1
_GO_WORDS: dict[type, str] = {
    str: "string", float: "float64", bool: "bool", list: "[]interface {}",
    dict: "map[string]interface {}", int: "int64", type(None): "<nil>",
}  # fmt: skip


class Unfit(ValueError):
    """What stands at a path is of another type; the message is that of the real server."""


def split(path: str) -> tuple[str, ...]:
    """The steps of ``.spec.replicas``."""
    return tuple(path.removeprefix(".").split("."))


def find(document: Document, steps: Sequence[str], wanted: type) -> Any:
    """The value at a path, None where there is nothing; Unfit where it is not ``wanted``."""
    value: Any = document
    for index, step in enumerate(steps):
        if type(value) is not dict:
            where = "." + ".".join(steps[: index + 1])
            raise Unfit(
                f"{where} accessor error: {value} is of the type {_GO_WORDS[type(value)]}, "
                "expected map[string]interface{}"
            )
        if step not in value:
            return None
        value = value[step]
    if type(value) is not wanted:
        raise Unfit(
            f".{'.'.join(steps)} accessor error: {value} is of the type "
            f"{_GO_WORDS[type(value)]}, expected {_GO_WORDS[wanted]}"
        )
    return value


def replace(document: Document, steps: Sequence[str], value: Any) -> Document:
    """A copy of the document with ``value`` at a path; what is not on the path is shared."""
    if not steps:
        result: Document = value
        return result
    inner = document.get(steps[0])
    below = inner if isinstance(inner, dict) else {}
    return {**document, steps[0]: replace(below, steps[1:], value)}


def check_spec(document: Document, paths: ScalePaths) -> list[Cause]:
    """The wanted number of replicas is one."""
    return _check_number(document, paths.spec_replicas)


def check_status(document: Document, paths: ScalePaths) -> list[Cause]:
    """The number there is, and the selector, are of their types."""
    causes = _check_number(document, paths.status_replicas)
    if paths.selector:
        try:
            find(document, paths.selector, str)
        except Unfit as error:
            causes.append(names.invalid("." + ".".join(paths.selector), "", str(error)))
    return causes


def _check_number(document: Document, steps: Sequence[str]) -> list[Cause]:
    where = "." + ".".join(steps)
    try:
        number = find(document, steps, int)
    except Unfit as error:
        return [names.invalid(where, 0, str(error))]
    if number is None:
        return []
    if number < 0:
        return [names.invalid(where, number, "should be a non-negative integer")]
    if number > REPLICAS_MAX:
        return [names.invalid(where, number, f"should be less than or equal to {REPLICAS_MAX}")]
    return []
