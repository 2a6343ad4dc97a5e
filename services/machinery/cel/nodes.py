"""The syntax tree of an expression, annotated in place by the type checker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilothouse.services.machinery.cel.types import Type


class Node:
    """Any expression: `position` is an offset in the source, `type` is set by the checker."""

    __slots__ = ("position", "type")

    type: Type

    def __init__(self, position: int) -> None:
        self.position = position


class Literal(Node):
    """A constant: bool, int, Uint, float, str, bytes or None."""

    __slots__ = ("value",)

    def __init__(self, position: int, value: object) -> None:
        super().__init__(position)
        self.value = value


class Ident(Node):
    """A name; the checker replaces a dotted constant such as `google.protobuf.Timestamp` by one."""

    __slots__ = ("constant", "name")

    def __init__(self, position: int, name: str) -> None:
        super().__init__(position)
        self.name = name
        self.constant: object = None


class Select(Node):
    """`operand.field`, or with `test` the macro `has(operand.field)`."""

    __slots__ = ("field", "operand", "qualified", "test")

    def __init__(self, position: int, operand: Node, field: str, test: bool = False) -> None:
        super().__init__(position)
        self.operand = operand
        self.field = field
        self.test = test
        self.qualified: Ident | None = None


class Call(Node):
    """A function, operator or method; `overloads` are the ids that the checker found to fit."""

    __slots__ = ("args", "function", "overloads", "target")

    def __init__(
        self, position: int, function: str, args: list[Node], target: Node | None = None
    ) -> None:
        super().__init__(position)
        self.function = function
        self.args = args
        self.target = target
        self.overloads: tuple[str, ...] = ()


class ListNode(Node):
    """A list literal; `optional` holds the indices of `?x` elements."""

    __slots__ = ("elements", "optional")

    def __init__(
        self, position: int, elements: list[Node], optional: frozenset[int] = frozenset()
    ) -> None:
        super().__init__(position)
        self.elements = elements
        self.optional = optional


class MapNode(Node):
    """A map literal: (key, value, is optional) entries."""

    __slots__ = ("entries",)

    def __init__(self, position: int, entries: list[tuple[Node, Node, bool]]) -> None:
        super().__init__(position)
        self.entries = entries


class StructNode(Node):
    """`Type.name{field: value}`: (field, value, is optional, position) fields."""

    __slots__ = ("fields", "name")

    def __init__(self, position: int, name: str, fields: list[tuple[str, Node, bool, int]]) -> None:
        super().__init__(position)
        self.name = name
        self.fields = fields


class Comprehension(Node):
    """A fold over a list or map, what every iterating macro becomes.

    `macro` names the macro, `second` is the second iteration variable or None. A `cel.bind` is a
    fold over nothing whose accumulator is the bound variable.
    """

    __slots__ = (
        "accumulator",
        "condition",
        "initial",
        "macro",
        "range",
        "result",
        "second",
        "step",
        "variable",
    )

    def __init__(
        self,
        position: int,
        macro: str,
        range_: Node,
        variables: tuple[str, str | None],
        accumulator: tuple[str, Node],
    ) -> None:
        super().__init__(position)
        self.macro = macro
        self.range = range_
        self.variable, self.second = variables
        self.accumulator, self.initial = accumulator
        self.condition: Node
        self.step: Node
        self.result: Node

    def folding(self, condition: Node, step: Node, result: Node) -> Comprehension:
        """This fold with its loop: go on while `condition`, the accumulator becomes `step`."""
        self.condition, self.step, self.result = condition, step, result
        return self


ACCUMULATOR = "@result"


def children(node: Node) -> list[Node]:  # noqa: PLR0911 - one kind of node each
    """The nodes right below one."""
    if isinstance(node, Select):
        return [node.operand]
    if isinstance(node, Call):
        return [*node.args, node.target] if node.target is not None else node.args
    if isinstance(node, ListNode):
        return node.elements
    if isinstance(node, MapNode):
        return [part for key, value, _ in node.entries for part in (key, value)]
    if isinstance(node, StructNode):
        return [value for _, value, _, _ in node.fields]
    if isinstance(node, Comprehension):
        return [node.range, node.initial, node.condition, node.step, node.result]
    return []
