"""JSON patch (RFC 6902): a list of operations on JSON pointers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

OPERATIONS_MAX = 10_000
COPIED_BYTES_MAX = 3 * 1024 * 1024
"""Copies of copies double each time."""

Operation = Mapping[str, Any]


class Impossible(Exception):
    """An operation can not be done on this document, or a test failed."""


class Malformed(Exception):
    """The patch is not a list of operations."""


class TooLarge(Malformed):
    """There are more operations than anybody needs."""


def apply(document: Any, operations: Sequence[Operation]) -> Any:
    """The document after all operations; Malformed or Impossible, and then none was done."""
    copied = 0
    if not isinstance(operations, list):
        raise Malformed("a JSON patch must be a list of operations")
    if len(operations) > OPERATIONS_MAX:
        raise TooLarge(
            f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, "
            f"got {len(operations)}"
        )
    for operation in operations:
        if isinstance(operation, dict) and operation.get("op") == "copy":
            copied += len(msgspec.json.encode(find(document, _path(operation, "from"))))
            if copied > COPIED_BYTES_MAX:
                raise Impossible(
                    "Unable to complete the copy, the accumulated size increase of copy is "
                    f"{copied}, exceeding the limit {COPIED_BYTES_MAX}"
                )
        document = _one(document, operation)
    return document


def _one(document: Any, operation: Operation) -> Any:
    if not isinstance(operation, dict):
        raise Malformed("an operation of a JSON patch must be an object")
    name = operation.get("op")
    act = _ACTS.get(name) if isinstance(name, str) else None
    if act is None:
        raise Impossible(f"Unexpected kind: {name}")
    return act(document, operation)


def _add(document: Any, operation: Operation) -> Any:
    return _insert(document, _path(operation), _value(operation))


def _remove(document: Any, operation: Operation) -> Any:
    return _without(document, _path(operation))


def _replace(document: Any, operation: Operation) -> Any:
    path = _path(operation)
    find(document, path)
    return _put(document, path, _value(operation))


def _move(document: Any, operation: Operation) -> Any:
    source, path = _path(operation, "from"), _path(operation)
    if path[: len(source)] == source and path != source:
        raise Impossible("a value can not be moved into itself")
    value = find(document, source)
    return _insert(_without(document, source), path, value)


def _copy(document: Any, operation: Operation) -> Any:
    return _insert(document, _path(operation), find(document, _path(operation, "from")))


def _test(document: Any, operation: Operation) -> Any:
    path, wanted = _path(operation), operation.get("value")
    if wanted is None and path:
        parent = find(document, path[:-1])
        if isinstance(parent, dict) and parent.get(path[-1]) is None:
            # What is not there is null.
            return document
    if not same(find(document, path), wanted):
        raise Impossible(f"testing path {operation['path']} failed")
    return document


_ACTS: dict[str, Callable[[Any, Operation], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def same(left: Any, right: Any) -> bool:
    """JSON equality: ``true`` is not 1, and 1 is 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def parse_pointer(text: Any) -> list[str]:
    """The steps of a JSON pointer (RFC 6901)."""
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise Malformed(f"{text!r} is not a JSON pointer")
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]


def find(document: Any, path: Sequence[str]) -> Any:
    """The value at ``path``; Impossible when there is none."""
    for step in path:
        document = _child(document, step)
    return document


def _path(operation: Operation, member: str = "path") -> list[str]:
    if member not in operation:
        raise Malformed(f"an operation of a JSON patch lacks {member!r}")
    return parse_pointer(operation[member])


def _value(operation: Operation) -> Any:
    if "value" not in operation:
        raise Malformed("an operation of a JSON patch lacks 'value'")
    return operation["value"]


def _child(container: Any, step: str) -> Any:
    if isinstance(container, dict):
        if step in container:
            return container[step]
    elif isinstance(container, list):
        return container[_index(container, step, len(container) - 1)]
    raise Impossible(f"there is no {step!r} to go through: doc is missing path")


def _index(container: Sequence[Any], step: str, largest: int) -> int:
    if not (step.isascii() and step.isdigit()) or (step != "0" and step.startswith("0")):
        raise Impossible(f"{step!r} is not an index")
    index = int(step)
    if index > largest:
        raise Impossible(f"index {index} is out of the {len(container)} elements")
    return index


def _insert(document: Any, path: Sequence[str], value: Any) -> Any:
    """Set a member, or insert before an element; ``-`` is the end of a list."""

    def act(container: Any, step: str) -> Any:
        if isinstance(container, list):
            size = len(container)
            index = size if step == "-" else _index(container, step, size)
            return [*container[:index], value, *container[index:]]
        return {**container, step: value}

    return _at(document, path, act) if path else value


def _put(document: Any, path: Sequence[str], value: Any) -> Any:
    def act(container: Any, step: str) -> Any:
        if isinstance(container, list):
            index = _index(container, step, len(container) - 1)
            return [*container[:index], value, *container[index + 1 :]]
        return {**container, step: value}

    return _at(document, path, act) if path else value


def _without(document: Any, path: Sequence[str]) -> Any:
    def act(container: Any, step: str) -> Any:
        _child(container, step)
        if isinstance(container, list):
            index = int(step)
            return [*container[:index], *container[index + 1 :]]
        return {key: item for key, item in container.items() if key != step}

    return _at(document, path, act) if path else None


def _at(document: Any, path: Sequence[str], act: Callable[[Any, str], Any]) -> Any:
    """A copy of ``document`` in which ``act`` changed the container that holds the last step."""
    if len(path) == 1:
        if not isinstance(document, dict | list):
            raise Impossible(f"there is no place for {path[0]!r}: doc is missing path")
        return act(document, path[0])
    child = _at(_child(document, path[0]), path[1:], act)
    if isinstance(document, list):
        index = int(path[0])
        return [*document[:index], child, *document[index + 1 :]]
    return {**document, path[0]: child}
