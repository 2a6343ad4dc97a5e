"""The static cost of an expression, from the bounds of the schema: upstream's model, unit by unit.

Upstream decides with it which rules a CustomResourceDefinition may have, so its quirks are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pilothouse.services.machinery.cel.calls import CallEstimate, Operand, estimate_call
from pilothouse.services.machinery.cel.costs import LIST_COST, MAP_COST, STRUCT_COST
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
from pilothouse.services.machinery.cel.sizes import (
    EMPTY_UNION,
    NOTHING,
    ONE,
    UNKNOWN,
    Range,
    exactly,
)
from pilothouse.services.machinery.cel.types import Type, is_optional

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilothouse.services.machinery.cel.schema import Declaration

CostEstimate = Range
_FIXED = frozenset(("bool", "double", "duration", "int", "timestamp", "uint"))
Path = tuple[str, ...]


def estimate(node: Node, bounds: Declaration | None) -> CostEstimate:
    """The range of what evaluating a checked tree can cost."""
    return _Coster(bounds).cost(node)


class _Entries(NamedTuple):
    """The sizes of the keys (or indices) and values of a list or map built in the expression."""

    kind: str
    key: Range
    value: Range


class _Local(NamedTuple):
    path: Path
    size: Range | None
    entries: _Entries | None


class _Coster:
    def __init__(self, bounds: Declaration | None) -> None:
        self.bounds = bounds
        self.paths: dict[int, Path] = {}
        self.sizes: dict[int, Range] = {}
        self.entries: dict[int, _Entries] = {}
        self.locals: dict[str, list[_Local]] = {}

    def cost(self, node: Node) -> Range:
        return self._COSTS[type(node)](self, node)

    def path(self, node: Node) -> Path:
        if isinstance(node, Ident) and self.locals.get(node.name):
            return self.locals[node.name][-1].path
        return self.paths.get(id(node), ())

    def bounded(self, path: Path) -> Range | None:
        """What the schema says about a path; like upstream the path's first part is skipped."""
        if not path or self.bounds is None:
            return None
        found = self.bounds.at(path[1:])
        return None if found is None else Range(0, found.max_elements)

    def size(self, node: Node) -> Range | None:
        known = self.sizes.get(id(node))
        if known is not None:
            return known
        literal = _literal_size(node)
        if literal is not None:
            return literal
        found = self.bounded(self.path(node))
        if found is not None:
            self.sizes[id(node)] = found
            return found
        if _fixed(node.type):
            return ONE
        if isinstance(node, Ident) and self.locals.get(node.name):
            return self.locals[node.name][-1].size
        return None

    def size_or_unknown(self, node: Node) -> Range:
        return self.size(node) or UNKNOWN

    def entry_sizes(self, node: Node) -> _Entries | None:
        known = self.entries.get(id(node))
        if known is None and isinstance(node, Ident) and self.locals.get(node.name):
            return self.locals[node.name][-1].entries
        return known

    def _literal(self, node: Literal) -> Range:
        return NOTHING

    def _ident(self, node: Ident) -> Range:
        local = self.locals.get(node.name)
        self.paths[id(node)] = local[-1].path if local else (node.name,)
        return ONE

    def _select(self, node: Select) -> Range:
        if node.qualified is not None:
            return self._ident(node.qualified)
        total = self.cost(node.operand)
        if node.test:
            return total
        if node.operand.type.kind in ("map", "struct", "param"):
            total = total.plus(ONE)
        self.paths[id(node)] = (*self.path(node.operand), node.field)
        return total

    def operand(self, node: Node) -> Operand:
        """A call's argument as the tables of calls see it."""
        path = self.path(node)
        if path and path[0] == "@result":
            path = ()
        return Operand(node, path, self.size(node), self.bounded)

    def _call(self, node: Call) -> Range:
        if node.function == "dyn":
            return self._dyn(node)
        costs = [self.cost(arg) for arg in node.args]
        operands = [self.operand(arg) for arg in node.args]
        total, target = NOTHING, None
        if node.target is not None:
            total = self.cost(node.target)
            target = self.operand(node.target)
        if not node.overloads:
            return NOTHING
        spent, size = EMPTY_UNION, None
        for overload in node.overloads:
            found = self._overload(node, overload, target, operands, costs)
            spent = spent.union(found.cost)
            if found.size is not None:
                size = found.size if size is None else size.union(found.size)
            size = self._element(node, overload, size)
        if size is not None:
            self.sizes[id(node)] = size
        return total.plus(spent)

    def _dyn(self, node: Call) -> Range:
        arg = node.args[0]
        total = self.cost(arg).plus(ONE)
        self._copy(node, arg)
        return total

    def _copy(self, to: Node, source: Node) -> None:
        size, entries = self.size(source), self.entry_sizes(source)
        if size is not None:
            self.sizes[id(to)] = size
        if entries is not None:
            self.entries[id(to)] = entries

    def _element(self, node: Call, overload: str, size: Range | None) -> Range | None:
        if overload in ("index_list", "index_map"):
            entries = self.entry_sizes(node.args[0])
            size = None if entries is None else entries.value
            step = "@items" if overload == "index_list" else "@values"
            self.paths[id(node)] = (*self.path(node.args[0]), step)
        return self.size(node) if size is None else size

    def _overload(
        self,
        node: Call,
        overload: str,
        target: Operand | None,
        args: list[Operand],
        costs: list[Range],
    ) -> CallEstimate:
        if overload == "conditional":
            return self._conditional(node, costs)
        if overload in ("logical_and", "logical_or"):
            return CallEstimate(Range(costs[0].min, costs[0].plus(costs[1]).max), None)
        if overload in ("add_string", "add_bytes", "add_list"):
            self._joined_entries(node, node.args[0], node.args[1])
        found = estimate_call(node.function, overload, target, args)
        total = found.cost
        for cost in costs:
            total = total.plus(cost)
        return CallEstimate(total, found.size)

    def _joined_entries(self, node: Call, one: Node, other: Node) -> None:
        first, second = self.entry_sizes(one), self.entry_sizes(other)
        if first is not None and second is not None:
            self.entries[id(node)] = _Entries(
                first.kind, first.key.union(second.key), first.value.union(second.value)
            )

    def _conditional(self, node: Call, costs: list[Range]) -> CallEstimate:
        _, yes, no = node.args
        self._joined_entries(node, yes, no)
        size = self.size_or_unknown(yes).union(self.size_or_unknown(no))
        return CallEstimate(costs[0].plus(costs[1].union(costs[2])), size)

    def _list(self, node: ListNode) -> Range:
        total = NOTHING
        item = EMPTY_UNION if node.elements else NOTHING
        for element in node.elements:
            total = total.plus(self.cost(element))
            item = item.union(self.size_or_unknown(element))
        self.entries[id(node)] = _Entries("list", ONE, item)
        return total.plus(exactly(LIST_COST))

    def _map(self, node: MapNode) -> Range:
        total = NOTHING
        keys = values = EMPTY_UNION if node.entries else NOTHING
        for key, value, _ in node.entries:
            total = total.plus(self.cost(key)).plus(self.cost(value))
            keys = keys.union(self.size_or_unknown(key))
            values = values.union(self.size_or_unknown(value))
        self.entries[id(node)] = _Entries("map", keys, values)
        return total.plus(exactly(MAP_COST))

    def _struct(self, node: StructNode) -> Range:
        total = exactly(STRUCT_COST)
        for _, value, _, _ in node.fields:
            total = total.plus(self.cost(value))
        return total

    def _push(self, name: str, local: _Local) -> None:
        self.locals.setdefault(name, []).append(local)

    def _push_variables(self, node: Comprehension) -> list[str]:
        entries, path = self.entry_sizes(node.range), self.path(node.range)
        kind = entries.kind if entries is not None else node.range.type.kind
        key = entries.key if entries is not None else None
        value = entries.value if entries is not None else None
        listed = kind == "list"
        if node.second is None:
            step, size = ("@items", value) if listed else ("@keys", key)
            self._push(node.variable, _Local((*path, step), size, None))
            return [node.variable]
        self._push(node.variable, _Local((*path, "@indices" if listed else "@keys"), key, None))
        self._push(node.second, _Local((*path, "@items" if listed else "@values"), value, None))
        return [node.variable, node.second]

    def _comprehension(self, node: Comprehension) -> Range:
        total = self.cost(node.range).plus(self.cost(node.initial))
        local = _Local(
            self.path(node.initial), self.size(node.initial), self.entry_sizes(node.initial)
        )
        self._push(node.accumulator, local)
        if node.macro == "bind":
            total = total.plus(self.cost(node.result))
            self.locals[node.accumulator].pop()
            self._copy(node, node.result)
            return total
        pushed = self._push_variables(node)
        round_ = self.cost(node.condition)
        round_ = self.cost(node.step).plus(round_)
        for name in pushed:
            self.locals[name].pop()
        total = total.plus(self.cost(node.result))
        self.locals[node.accumulator].pop()
        rounds = self.size_or_unknown(node.range)
        self._size_of_fold(node, rounds)
        return total.plus(rounds.times(round_))

    def _size_of_fold(self, node: Comprehension, rounds: Range) -> None:
        if isinstance(node.initial, Literal):
            self.sizes[id(node)] = _literal_size(node.initial) or ONE
            return
        self.sizes[id(node)] = rounds
        entries = self.entry_sizes(node.step)
        if entries is not None:
            self.entries[id(node)] = entries

    _COSTS: dict[type, Callable[..., Range]] = {
        Literal: _literal,
        Ident: _ident,
        Select: _select,
        Call: _call,
        ListNode: _list,
        MapNode: _map,
        StructNode: _struct,
        Comprehension: _comprehension,
    }


def _literal_size(node: Node) -> Range | None:
    if isinstance(node, Literal):
        return exactly(len(node.value)) if isinstance(node.value, str | bytes) else ONE
    if isinstance(node, ListNode):
        return exactly(len(node.elements))
    return exactly(len(node.entries)) if isinstance(node, MapNode) else None


def _fixed(type_: Type) -> bool:
    return type_.kind in _FIXED or (is_optional(type_) and _fixed(type_.params[0]))
