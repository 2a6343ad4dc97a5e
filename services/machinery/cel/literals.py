"""Checks of literal arguments that would fail at every evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.services.machinery.cel import regular
from pilothouse.services.machinery.cel.errors import Issue
from pilothouse.services.machinery.cel.formats import (
    EARLIEST,
    LATEST,
    NANOS,
    parse_duration,
    parse_timestamp,
)
from pilothouse.services.machinery.cel.nodes import Call, ListNode, Literal, MapNode, Node, children
from pilothouse.services.machinery.cel.types import same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# function: which argument, its parser
_CHECKS: dict[str, tuple[int, Callable[[str], object]]] = {
    "duration": (0, parse_duration),
    "timestamp": (0, parse_timestamp),
    "matches": (-1, regular.compiled),
}
_REGEXES = ("find", "findAll")


def invalid_literals(nodes: Iterable[Node]) -> list[Issue]:
    """`invalid duration argument` and the like, at the argument."""
    issues = []
    for node in nodes:
        if not isinstance(node, Call) or not node.args:
            continue
        if node.function in _REGEXES:
            issues += _failing(node.args[0], regular.compiled, "")
        elif node.function in _CHECKS:
            position, parse = _CHECKS[node.function]
            issues += _failing(node.args[position], parse, f"invalid {node.function} argument")
    return issues


def mixed_literals(root: Node) -> list[Issue]:
    """Elements of list and map literals whose type is not the first one's, but for format()'s."""
    issues: list[Issue] = []
    pending = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, Call) and node.function == "format":
            continue
        if isinstance(node, ListNode):
            issues += _mixed(node.elements, node.optional, stop=True)
        elif isinstance(node, MapNode):
            optional = frozenset(i for i, entry in enumerate(node.entries) if entry[2])
            issues += _mixed([key for key, _, _ in node.entries], frozenset(), stop=False)
            issues += _mixed([value for _, value, _ in node.entries], optional, stop=False)
        pending.extend(children(node))
    return issues


def _mixed(nodes: list[Node], optional: frozenset[int], *, stop: bool) -> list[Issue]:
    issues: list[Issue] = []
    first = None
    for position, node in enumerate(nodes):
        found = node.type.params[0] if position in optional and node.type.params else node.type
        if first is None:
            first = found
        elif not same(first, found):
            issues.append(Issue(node.position, f"expected type '{first}' but found '{found}'"))
            if stop:
                break
    return issues


def _failing(node: Node, parse: Callable[[str], object], message: str) -> list[Issue]:
    if not isinstance(node, Literal):
        return []
    if type(node.value) is int and parse is parse_timestamp:
        return [] if EARLIEST <= node.value * NANOS <= LATEST else [Issue(node.position, message)]
    if not isinstance(node.value, str):
        return []
    try:
        parse(node.value)
    except ValueError as error:
        return [Issue(node.position, message or str(error))]
    return []
