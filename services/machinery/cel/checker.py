"""Type-checks a tree: sets each node's `type` and each call's `overloads`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.services.machinery.cel import types
from pilothouse.services.machinery.cel.errors import Issue
from pilothouse.services.machinery.cel.escaping import RESERVED
from pilothouse.services.machinery.cel.nodes import (
    Call,
    Comprehension,
    Ident,
    ListNode,
    Literal,
    MapNode,
    Node,
    Select,
    StructNode,
)
from pilothouse.services.machinery.cel.types import BOOL, DYN, ERROR, Type
from pilothouse.services.machinery.cel.values import TypeValue, Uint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pilothouse.services.machinery.cel.declarations import Overload

_LITERALS = {
    bool: BOOL,
    int: types.INT,
    Uint: types.UINT,
    float: types.DOUBLE,
    str: types.STRING,
    bytes: types.BYTES,
}
_TYPE_IDENTS = {
    name: types.NAMED[name]
    for name in ("bool", "int", "uint", "double", "string", "bytes", "dyn", "type")
} | {
    "null_type": types.NULL,
    "list": types.list_of(DYN),
    "map": types.map_of(DYN, DYN),
    "google.protobuf.Timestamp": types.TIMESTAMP,
    "google.protobuf.Duration": types.DURATION,
    "optional_type": types.optional_of(DYN),
    **{name: t for name, t in types.NAMED.items() if t.kind in ("struct", "opaque")},
}


class Checker:
    """One check of one tree: `issues` holds what is wrong."""

    def __init__(
        self, variables: Mapping[str, Type], functions: Mapping[str, tuple[Overload, ...]]
    ) -> None:
        self.variables = variables
        self.functions = functions
        self.scopes: list[dict[str, Type]] = []
        self.unification = types.Unification()
        self.issues: list[Issue] = []
        self.nodes: list[Node] = []
        self.referenced: set[str] = set()
        self.selected: set[tuple[str, ...]] = set()

    def run(self, node: Node) -> Type:
        """Checks the whole tree and settles every node's type."""
        self.check(node)
        for visited in self.nodes:
            visited.type = self.unification.resolve(visited.type, final=True)
        return node.type

    def report(self, position: int, message: str) -> None:
        self.issues.append(Issue(position, message))

    def check(self, node: Node) -> Type:
        """Sets and returns the type of one node, its children first."""
        self.nodes.append(node)
        node.type = self._CHECKS[type(node)](self, node)
        return node.type

    def _literal(self, node: Literal) -> Type:
        return _LITERALS.get(type(node.value), types.NULL)

    def _lookup(self, name: str) -> Type | None:
        if name.startswith("."):
            name = name[1:]
        else:
            for scope in reversed(self.scopes):
                if name in scope:
                    return scope[name]
        found = self.variables.get(name)
        if found is not None:
            self.referenced.add(name)
        return found

    def _ident(self, node: Ident) -> Type:
        found = self._lookup(node.name)
        if found is not None:
            return found
        constant = _TYPE_IDENTS.get(node.name.lstrip("."))
        if constant is not None:
            node.constant = TypeValue(node.name.lstrip("."))
            return types.type_of(constant)
        self.report(node.position, f"undeclared reference to '{node.name}' (in container '')")
        return ERROR

    def _select(self, node: Select) -> Type:
        name = None if node.test else qualified_name(node)
        if name is not None and "." in name:
            known = self.variables.get(name) if not self._is_local(name) else None
            constant = _TYPE_IDENTS.get(name)
            if known is not None or constant is not None:
                node.qualified = Ident(node.position, name)
                return self.check(node.qualified)
        field_type = self.field(node, node.operand, node.field, optional=False)
        return BOOL if node.test else self.unification.resolve(field_type)

    def _is_local(self, name: str) -> bool:
        first = name.split(".", 1)[0]
        return any(first in scope for scope in self.scopes)

    def field(self, node: Node, operand: Node, field: str, optional: bool) -> Type:
        """The type of a field of the operand; optional operands give optional fields."""
        target = self.unification.resolve(self.check(operand))
        wrapped = types.is_optional(target)
        target = target.params[0] if wrapped else target
        result = ERROR
        if target.kind == "map":
            result = target.params[1]
        elif target.kind == "struct":
            found = self._declared(node, target, field)
            if found is None:
                self.report(node.position, f"undefined field '{field}'")
            else:
                result = found
        elif target.kind == "param":
            self.unification.assignable([DYN], [target])
            result = DYN
        else:
            if target.kind not in ("dyn", "error"):
                self.report(node.position, f"type '{target}' does not support field selection")
            result = DYN
        return types.optional_of(result) if wrapped or optional else result

    @staticmethod
    def _declared(node: Node, target: Type, field: str) -> Type | None:
        """A declared field; one called like a keyword may be written without its escape."""
        fields = target.fields or {}
        if field in fields or field not in RESERVED:
            return fields.get(field)
        escaped = f"__{field}__"
        if escaped in fields and isinstance(node, Select):
            node.field = escaped
        return fields.get(escaped)

    def _optional_select(self, node: Call) -> Type:
        name = node.args[1]
        assert isinstance(name, Literal)  # noqa: S101 - so the parser and macros made it
        self.check(name)
        node.overloads = ("select_optional_field",)
        return self.unification.resolve(
            self.field(node, node.args[0], str(name.value), optional=True)
        )

    def _call(self, node: Call) -> Type:
        if node.function == "_?._":
            return self._optional_select(node)
        for arg in node.args:
            self.check(arg)
        if node.target is None:
            return self._function(node, node.function.lstrip("."))
        prefix = qualified_name(node.target)
        if prefix is not None and f"{prefix}.{node.function}" in self.functions:
            node.function, node.target = f"{prefix}.{node.function}", None
            return self._function(node, node.function)
        self.check(node.target)
        return self._function(node, node.function)

    def _function(self, node: Call, name: str) -> Type:
        overloads = self.functions.get(name)
        if overloads is None:
            self.report(node.position, f"undeclared reference to '{name}' (in container '')")
            return ERROR
        node.function = name
        arguments = node.args if node.target is None else [node.target, *node.args]
        given = [arg.type for arg in arguments]
        if name in ("_&&_", "_||_"):
            return self._logical(node, given, overloads[0].id)
        matched: list[str] = []
        result: Type | None = None
        for overload in overloads:
            if overload.method is (node.target is None) or len(overload.args) != len(given):
                continue
            expected, produced = self._instantiate(overload)
            if not self.unification.assignable(given, expected):
                continue
            matched.append(overload.id)
            produced = self.unification.resolve(produced)
            if result is None:
                result = produced
            elif result.kind != "dyn" and not types.same(produced, result):
                result = DYN
        if result is None:
            self._no_overload(node, name, given)
            return ERROR
        node.overloads = tuple(matched)
        return result

    def _logical(self, node: Call, given: list[Type], overload: str) -> Type:
        node.overloads = (overload,)
        failed = False
        for arg, found in zip(node.args, given, strict=True):
            if not self.unification.assignable([found], [BOOL]):
                self.report(arg.position, f"expected type 'bool' but found '{found}'")
                failed = True
        return ERROR if failed else BOOL

    def _no_overload(self, node: Call, name: str, given: list[Type]) -> None:
        shown = [str(self.unification.resolve(t, final=True)) for t in given]
        if node.target is None:
            signature = f"({', '.join(shown)})"
        else:
            signature = f"{shown[0]}.({', '.join(shown[1:])})"
        self.report(
            node.position, f"found no matching overload for '{name}' applied to '{signature}'"
        )

    def _instantiate(self, overload: Overload) -> tuple[list[Type], Type]:
        if not overload.generic:
            return list(overload.args), overload.result
        fresh: dict[str, Type] = {}

        def rename(value: Type) -> Type:
            if value.kind == "param":
                if value.name not in fresh:
                    fresh[value.name] = self.unification.fresh()
                return fresh[value.name]
            return (
                Type(value.kind, value.name, tuple(map(rename, value.params)))
                if value.params
                else value
            )

        return [rename(arg) for arg in overload.args], rename(overload.result)

    def _join(self, previous: Type | None, current: Type) -> Type:
        if previous is None:
            return current
        if self.unification.assignable([previous], [current]):
            return types.more_general(previous, current)
        # Mixed literals are refused later, where no exception allows them.
        return DYN

    def _element(self, node: Node, optional: bool) -> Type:
        found = self.check(node)
        if not optional:
            return found
        if types.is_optional(found):
            return found.params[0]
        if found.kind != "dyn":
            self.report(
                node.position, f"expected type 'optional_type({found})' but found '{found}'"
            )
        return found

    def _list(self, node: ListNode) -> Type:
        element: Type | None = None
        for index, item in enumerate(node.elements):
            element = self._join(element, self._element(item, index in node.optional))
        return types.list_of(element if element is not None else self.unification.fresh())

    def _map(self, node: MapNode) -> Type:
        key: Type | None = None
        value: Type | None = None
        for key_node, value_node, optional in node.entries:
            key = self._join(key, self.check(key_node))
            value = self._join(value, self._element(value_node, optional))
        if key is None or value is None:
            key, value = self.unification.fresh(), self.unification.fresh()
        return types.map_of(key, value)

    def _struct(self, node: StructNode) -> Type:
        name = node.name.lstrip(".")
        declared = self.variables.get(f"type {name}")
        if declared is None:
            self.report(node.position, f"undeclared reference to '{name}' (in container '')")
            return ERROR
        for field, value_node, optional, position in node.fields:
            found = self._element(value_node, optional)
            expected = declared.fields.get(field) if declared.fields is not None else None
            if expected is None:
                self.report(position, f"undefined field '{field}'")
            elif not self.unification.assignable([expected], [found]):
                wanted = f"expected type of field '{field}' is '{expected}'"
                self.report(position, f"{wanted} but provided type is '{found}'")
        return declared

    def _comprehension(self, node: Comprehension) -> Type:
        self.check(node.range)
        accumulated = self.check(node.initial)
        over = self.unification.resolve(node.range.type)
        self.scopes.append({node.accumulator: accumulated})
        self.scopes.append(self._loop_variables(node, over))
        self._assert(node.condition, BOOL)
        self._assert(node.step, accumulated)
        self.scopes.pop()
        result = self.check(node.result)
        self.scopes.pop()
        return self.unification.resolve(result)

    def _loop_variables(self, node: Comprehension, over: Type) -> dict[str, Type]:
        first, second = ERROR, ERROR
        if over.kind == "list":
            first = types.INT if node.second else over.params[0]
            second = over.params[0]
        elif over.kind == "map":
            first, second = over.params
        elif over.kind in ("dyn", "error", "param"):
            self.unification.assignable([DYN], [over])
            first = second = DYN
        else:
            message = f"expression of type '{over}' cannot be range of a comprehension"
            self.report(node.range.position, f"{message} (must be list, map, or dynamic)")
        return (
            {node.variable: first, node.second: second} if node.second else {node.variable: first}
        )

    def _assert(self, node: Node, expected: Type) -> None:
        found = self.check(node)
        if not self.unification.assignable([expected], [found]):
            self.report(node.position, f"expected type '{expected}' but found '{found}'")

    _CHECKS: dict[type, Callable[..., Type]] = {
        Literal: _literal,
        Ident: _ident,
        Select: _select,
        Call: _call,
        ListNode: _list,
        MapNode: _map,
        StructNode: _struct,
        Comprehension: _comprehension,
    }


def qualified_name(node: Node) -> str | None:
    """`a.b.c` of a chain of selections from a name, or None."""
    parts = []
    while isinstance(node, Select) and not node.test:
        parts.append(node.field)
        node = node.operand
    if not isinstance(node, Ident):
        return None
    parts.append(node.name.lstrip("."))
    return ".".join(reversed(parts))
