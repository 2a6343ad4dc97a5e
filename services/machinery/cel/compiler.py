"""Checked trees to Python closures over a frame.

A frame is a list: [cost so far, limit, variables…]. Costs that do not depend on values are summed
up at compile time and charged once per branch or round of a loop, so that a simple rule pays for
one addition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from pilothouse.services.machinery.cel.comprehensions import fold
from pilothouse.services.machinery.cel.costs import LIST_COST, MAP_COST, STRUCT_COST, call_cost
from pilothouse.services.machinery.cel.errors import EvaluationError, no_such_overload
from pilothouse.services.machinery.cel.frames import FIRST_SLOT, Code, Failed, Frame, Run
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
from pilothouse.services.machinery.cel.operations import (
    accepts,
    as_optional,
    logical,
    optional_element,
    optional_selection,
    presence,
    selection,
)
from pilothouse.services.machinery.cel.types import Type, is_optional
from pilothouse.services.machinery.cel.values import Optional, find, kind_of

Implementation = Callable[..., Any]


class Signature(NamedTuple):
    """One overload as calls find it at run time."""

    args: tuple[Type, ...]
    run: Implementation


class Compiler:
    """Compiles one tree; `variables` names the slots of the frame in order from FIRST_SLOT."""

    def __init__(self, variables: list[str], signatures: Mapping[str, Signature]) -> None:
        self.slots = {name: FIRST_SLOT + index for index, name in enumerate(variables)}
        self.bound: set[str] = set()
        self.size = FIRST_SLOT + len(variables)
        self._next = self.size
        self.signatures = signatures

    def slot(self) -> int:
        """A new local variable's place."""
        self._next += 1
        self.size = max(self.size, self._next)
        return self._next - 1

    def compile(self, node: Node) -> Code:
        return self._COMPILERS[type(node)](self, node)

    def scoped(self, names: dict[str, int], node: Node, bound: bool = False) -> Code:
        """Compiles with more variables in sight; `bound` ones may hold an error."""
        outer, outer_bound = self.slots, self.bound
        self.slots = {**outer, **names}
        self.bound = outer_bound | set(names) if bound else outer_bound - set(names)
        try:
            return self.compile(node)
        finally:
            self.slots, self.bound = outer, outer_bound

    def _literal(self, node: Literal) -> Code:
        value = node.value
        return constant(value)

    def _ident(self, node: Ident) -> Code:
        if node.constant is not None:
            return constant(node.constant)
        name = node.name.lstrip(".")
        slot = self.slots[name]
        if name not in self.bound:
            return Code(itemgetter(slot), 1)

        def run(f: Frame) -> Any:
            value = f[slot]
            if type(value) is Failed:
                raise value.error
            return value

        return Code(run, 1)

    def _select(self, node: Select) -> Code:
        if node.qualified is not None:
            return self._ident(node.qualified)
        operand = self.compile(node.operand)
        if node.test:
            return Code(presence(operand.run, node.field), operand.cost)
        run = (
            optional_selection(operand.run, node.field)
            if is_optional(node.operand.type)
            else selection(operand.run, node.field)
        )
        return Code(run, operand.cost + self._qualifier(node.operand))

    @staticmethod
    def _qualifier(operand: Node) -> int:
        return 1 if is_attribute(operand) else 2

    def _call(self, node: Call) -> Code:
        special = _SPECIAL.get(node.function)
        if special is not None:
            return special(self, node)
        arguments = node.args if node.target is None else [node.target, *node.args]
        codes = [self.compile(arg) for arg in arguments]
        types = [arg.type for arg in arguments]
        cost = call_cost(node.function, node.overloads, types)
        base = sum(code.cost for code in codes)
        runs = [code.run for code in codes]
        function = self._dispatch(node.overloads, types)
        if node.function in _CONVERSIONS and all(code.constant for code in codes):
            return _folded(Code(_plain_call(function, runs), base + 1))
        if node.overloads == ("in_list",) and codes[1].constant and _primitive(types[1]):
            cost = 0
        if isinstance(cost, int):
            return Code(_plain_call(function, runs), base + cost)
        charge = cost

        def run(f: Frame) -> Any:
            try:
                values = tuple([argument(f) for argument in runs])
            except EvaluationError:
                # Upstream charges for the call that passes the error on.
                f[0] += 1
                raise
            result = function(*values)
            f[0] += charge(values, result)
            return result

        return Code(run, base)

    def _dispatch(self, overloads: tuple[str, ...], given: list[Type]) -> Implementation:
        """The implementation; by the values' types where the static ones leave a choice."""
        candidates = [self.signatures[overload] for overload in overloads]
        functions = {id(candidate.run) for candidate in candidates}
        if len(functions) == 1 and (
            overloads[0] in _GENERIC or not any(t.kind in ("dyn", "error") for t in given)
        ):
            return candidates[0].run

        def choose(*values: Any) -> Any:
            for candidate in candidates:
                if all(map(accepts, candidate.args, values)):
                    return candidate.run(*values)
            raise no_such_overload()

        return choose

    def index_(self, node: Call) -> Code:
        operand, index = (self.compile(arg) for arg in node.args)
        function = self.signatures["index_list"].run
        first, second = operand.run, index.run
        inner = index.cost - 1 if is_attribute(node.args[1]) and index.cost else index.cost
        return Code(
            lambda f: function(first(f), second(f)),
            operand.cost + inner + self._qualifier(node.args[0]),
        )

    def optional_index_(self, node: Call) -> Code:
        operand, index = (self.compile(arg) for arg in node.args)
        first, second = operand.run, index.run
        return Code(_charged(first, second), operand.cost + index.cost)

    def optional_select_(self, node: Call) -> Code:
        operand = self.compile(node.args[0])
        name = node.args[1]
        assert isinstance(name, Literal)  # noqa: S101 - so the parser and macros made it
        extra = self._qualifier(node.args[0]) - 1
        return Code(_charged(operand.run, constant(name.value).run), operand.cost + extra)

    def logical_(self, node: Call) -> Code:
        left, right = (self.compile(arg) for arg in node.args)
        return Code(logical(left.run, right, decisive=node.function == "_||_"), left.cost)

    def conditional_(self, node: Call) -> Code:
        condition, yes, no = (self.compile(arg) for arg in node.args)
        test, if_true, if_false = condition.run, yes.run, no.run
        # Upstream resolves a bare variable in a branch without charging for it.
        yes_cost, no_cost = (
            code.cost - 1 if is_attribute(arg) and code.cost else code.cost
            for code, arg in zip((yes, no), node.args[1:], strict=True)
        )

        def run(f: Frame) -> Any:
            chosen = test(f)
            if chosen is True:
                f[0] += yes_cost
                return if_true(f)
            if chosen is False:
                f[0] += no_cost
                return if_false(f)
            raise no_such_overload()

        return Code(run, condition.cost)

    def or_(self, node: Call) -> Code:
        """optional.or() and orValue(): the alternative is evaluated only if needed."""
        assert node.target is not None  # noqa: S101 - so the parser and macros made it
        left, right = self.compile(node.target), self.compile(node.args[0])
        first, second, cost = left.run, right.run, right.cost
        unwrap = node.function == "orValue"

        def run(f: Frame) -> Any:
            value = first(f)
            if not isinstance(value, Optional):
                raise no_such_overload()
            if value.present:
                return value.value if unwrap else value
            f[0] += cost
            return second(f)

        return Code(run, left.cost)

    def _list(self, node: ListNode) -> Code:
        codes = [self.compile(element) for element in node.elements]
        runs = [code.run for code in codes]
        cost = LIST_COST + sum(code.cost for code in codes)
        optional = node.optional
        if not optional:
            made = Code(lambda f: [run(f) for run in runs], cost)
            return _folded(made) if all(code.constant for code in codes) else made

        def build(f: Frame) -> list[Any]:
            result = []
            for position, run in enumerate(runs):
                value = run(f)
                if position in optional:
                    value = as_optional(value)
                    if not value.present:
                        continue
                    value = value.value
                result.append(value)
            return result

        return Code(build, cost)

    def _map(self, node: MapNode) -> Code:
        entries = [
            (self.compile(key), self.compile(value), optional)
            for key, value, optional in node.entries
        ]
        cost = MAP_COST + sum(key.cost + value.cost for key, value, _ in entries)
        runs = [(key.run, value.run, optional) for key, value, optional in entries]

        def build(f: Frame) -> dict[Any, Any]:
            result: dict[Any, Any] = {}
            for key_run, value_run, optional in runs:
                key, value = key_run(f), value_run(f)
                if kind_of(key) not in ("string", "int", "uint", "bool", "double"):
                    raise EvaluationError("unsupported key type")
                if optional:
                    value = as_optional(value)
                    if not value.present:
                        continue
                    value = value.value
                if find(result, key)[0]:
                    raise EvaluationError(f"Failed with repeated key: {key}")
                result[key] = value
            return result

        made = Code(build, cost)
        return _folded(made) if all(k.constant and v.constant for k, v, _ in entries) else made

    def _struct(self, node: StructNode) -> Code:
        codes = [(name, self.compile(value), optional) for name, value, optional, _ in node.fields]

        def build(f: Frame) -> dict[str, Any]:
            result = {}
            for name, code, optional in codes:
                value = code.run(f)
                if optional:
                    value = as_optional(value)
                    if not value.present:
                        continue
                    value = value.value
                result[name] = value
            return result

        return Code(build, STRUCT_COST + sum(code.cost for _, code, _ in codes))

    def _comprehension(self, node: Comprehension) -> Code:
        return fold(self, node)

    _COMPILERS: dict[type, Callable[..., Code]] = {
        Literal: _literal,
        Ident: _ident,
        Select: _select,
        Call: _call,
        ListNode: _list,
        MapNode: _map,
        StructNode: _struct,
        Comprehension: _comprehension,
    }


_SPECIAL: dict[str, Callable[[Compiler, Call], Code]] = {
    "_[_]": Compiler.index_,
    "_[?_]": Compiler.optional_index_,
    "_?._": Compiler.optional_select_,
    "_&&_": Compiler.logical_,
    "_||_": Compiler.logical_,
    "_?_:_": Compiler.conditional_,
    "or": Compiler.or_,
    "orValue": Compiler.or_,
}
_CONVERSIONS = frozenset(
    ("bool", "bytes", "double", "dyn", "duration", "int", "string", "timestamp", "type", "uint")
)
_GENERIC = frozenset(
    (
        "equals",
        "not_equals",
        "in_list",
        "in_map",
        "to_dyn",
        "type",
        "optional_of",
        "optional_ofNonZeroValue",
    )
)


def is_attribute(node: Node) -> bool:
    """Whether upstream resolves the node as a path from a variable."""
    if isinstance(node, Ident | Select):
        return True
    return isinstance(node, Call) and node.function in ("_[_]", "_?_:_", "_?._", "_[?_]")


def constant(value: object) -> Code:
    """Code of a value that is known already."""
    return Code(lambda f: value, 0, constant=True)


def _charged(container: Run, key: Run) -> Run:
    """`container[?key]`, which costs something only if the key is there."""

    def run(f: Frame) -> Optional:
        found = optional_element(container(f), key(f))
        if found.present:
            f[0] += 1
        return found

    return run


def _folded(code: Code) -> Code:
    """Runs constant code once, now; what fails is left to fail when it is needed."""
    try:
        return constant(code.run([0, 0]))
    except EvaluationError:
        return code


def _primitive(container: Type) -> bool:
    return container.params[0].kind in ("bool", "int", "uint", "double", "string")


def _plain_call(function: Implementation, runs: list[Run]) -> Run:
    if len(runs) == 1:
        only = runs[0]
        return lambda f: function(only(f))
    if len(runs) == 2:  # noqa: PLR2004 - operators
        first, second = runs
        return lambda f: function(first(f), second(f))
    return lambda f: function(*[run(f) for run in runs])
