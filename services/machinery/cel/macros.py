"""Calls that are syntax: has(), the folds over lists and maps, optionals' and cel.bind."""

from __future__ import annotations

from collections.abc import Callable

from pilothouse.services.machinery.cel.nodes import (
    ACCUMULATOR,
    Call,
    Comprehension,
    Ident,
    ListNode,
    Literal,
    MapNode,
    Node,
    Select,
)


class MacroError(Exception):
    """A macro's arguments are not well-formed; `position` says where."""

    def __init__(self, position: int, message: str) -> None:
        self.position = position
        super().__init__(message)


Expander = Callable[[Call], Node | None]


def expand(call: Call, bindings: bool) -> Node | None:
    """The call's expansion, or None for an ordinary call; `bindings` allows cel.bind.

    Raises MacroError where the call is a macro's with malformed arguments.
    """
    key = (call.function, len(call.args), call.target is not None)
    expander = _MACROS.get(key)
    if expander is None:
        if bindings and key == ("bind", 3, True):
            return _bind(call)
        return None
    return expander(call)


def _has(call: Call) -> Node:
    operand = call.args[0]
    if isinstance(operand, Select) and not operand.test:
        return Select(call.position, operand.operand, operand.field, test=True)
    raise MacroError(operand.position, "invalid argument to has() macro")


def _variable(node: Node, message: str = "argument must be a simple name") -> str:
    if not isinstance(node, Ident):
        raise MacroError(node.position, message)
    if node.name in (ACCUMULATOR, "__result__"):
        raise MacroError(node.position, "iteration variable overwrites accumulator variable")
    return node.name


def _names(call: Call, two: bool) -> tuple[str, str | None]:
    first = _variable(call.args[0])
    if not two:
        return first, None
    second = _variable(call.args[1])
    if first == second:
        raise MacroError(call.args[1].position, f"duplicate variable name: {second}")
    return first, second


def _fold(call: Call, macro: str, initial: Node, two: bool) -> Comprehension:
    assert call.target is not None  # noqa: S101 - so the parser and macros made it
    return Comprehension(
        call.position, macro, call.target, _names(call, two), (ACCUMULATOR, initial)
    )


def _accu(call: Call) -> Ident:
    return Ident(call.position, ACCUMULATOR)


def _all(two: bool) -> Expander:
    def expand_all(call: Call) -> Node:
        at = call.position
        condition = Call(at, "@not_strictly_false", [_accu(call)])
        step = Call(at, "_&&_", [_accu(call), call.args[-1]])
        return _fold(call, "all", Literal(at, True), two).folding(condition, step, _accu(call))

    return expand_all


def _exists(two: bool) -> Expander:
    def expand_exists(call: Call) -> Node:
        at = call.position
        condition = Call(at, "@not_strictly_false", [Call(at, "!_", [_accu(call)])])
        step = Call(at, "_||_", [_accu(call), call.args[-1]])
        return _fold(call, "exists", Literal(at, False), two).folding(condition, step, _accu(call))

    return expand_exists


def _exists_one(two: bool) -> Expander:
    def expand_exists_one(call: Call) -> Node:
        at = call.position
        more = Call(at, "_+_", [_accu(call), Literal(at, 1)])
        step = Call(at, "_?_:_", [call.args[-1], more, _accu(call)])
        result = Call(at, "_==_", [_accu(call), Literal(at, 1)])
        return _fold(call, "exists_one", Literal(at, 0), two).folding(
            Literal(at, True), step, result
        )

    return expand_exists_one


def _appending(call: Call, two: bool, guard: Node | None, element: Node) -> Node:
    at = call.position
    step: Node = Call(at, "_+_", [_accu(call), ListNode(at, [element])])
    if guard is not None:
        step = Call(at, "_?_:_", [guard, step, _accu(call)])
    fold = _fold(call, "map" if guard is None else "filter", ListNode(at, []), two)
    return fold.folding(Literal(at, True), step, _accu(call))


def _guard(call: Call, position: int) -> Node | None:
    """The filter of a macro that takes one between its variables and its result."""
    return call.args[position] if len(call.args) == position + 2 else None


def _map(call: Call) -> Node:
    _variable(call.args[0], "argument is not an identifier")
    return _appending(call, False, _guard(call, 1), call.args[-1])


def _filter(call: Call) -> Node:
    name = _variable(call.args[0], "argument is not an identifier")
    return _appending(call, False, call.args[1], Ident(call.args[0].position, name))


def _transform_list(call: Call) -> Node:
    return _appending(call, True, _guard(call, 2), call.args[-1])


def _inserting(call: Call, insert: Node) -> Node:
    at = call.position
    guard = _guard(call, 2)
    if guard is not None:
        insert = Call(at, "_?_:_", [guard, insert, _accu(call)])
    fold = _fold(call, "transformMap", MapNode(at, []), True)
    return fold.folding(Literal(at, True), insert, _accu(call))


def _transform_map(call: Call) -> Node:
    key = Ident(call.position, _variable(call.args[0]))
    return _inserting(
        call, Call(call.position, "cel.@mapInsert", [_accu(call), key, call.args[-1]])
    )


def _transform_map_entry(call: Call) -> Node:
    return _inserting(call, Call(call.position, "cel.@mapInsert", [_accu(call), call.args[-1]]))


def _optional_map(flat: bool) -> Expander:
    name = "optFlatMap" if flat else "optMap"

    def expand_optional(call: Call) -> Node:
        at, target = call.position, call.target
        assert target is not None  # noqa: S101 - so the parser and macros made it
        variable = _variable(call.args[0], f"{name}() variable name must be a simple identifier")
        value = Call(at, "value", [], target)
        bound = Comprehension(at, "bind", ListNode(at, []), ("#unused", None), (variable, value))
        body: Node = bound.folding(Literal(at, False), Ident(at, variable), call.args[1])
        if not flat:
            body = Call(at, "optional.of", [body])
        return Call(
            at, "_?_:_", [Call(at, "hasValue", [], target), body, Call(at, "optional.none", [])]
        )

    return expand_optional


def _bind(call: Call) -> Node | None:
    if not (isinstance(call.target, Ident) and call.target.name == "cel"):
        return None
    at = call.position
    name = _variable(call.args[0], "cel.bind() variable names must be simple identifiers")
    fold = Comprehension(at, "bind", ListNode(at, []), ("#unused", None), (name, call.args[1]))
    return fold.folding(Literal(at, False), Ident(at, name), call.args[2])


def _sort_by(call: Call) -> Node | None:
    if not isinstance(call.target, Ident | Select | ListNode | Comprehension | Call):
        raise MacroError(
            call.position,
            "sortBy can only be applied to a list, identifier, comprehension, call "
            "or select expression",
        )
    at = call.position
    keys = _map(Call(at, "map", call.args, call.target))
    return Call(at, "@sortByAssociatedKeys", [keys], call.target)


_MACROS: dict[tuple[str, int, bool], Callable[[Call], Node | None]] = {
    ("has", 1, False): _has,
    ("all", 2, True): _all(False),
    ("all", 3, True): _all(True),
    ("exists", 2, True): _exists(False),
    ("exists", 3, True): _exists(True),
    ("exists_one", 2, True): _exists_one(False),
    ("existsOne", 2, True): _exists_one(False),
    ("existsOne", 3, True): _exists_one(True),
    ("map", 2, True): _map,
    ("map", 3, True): _map,
    ("filter", 2, True): _filter,
    ("transformList", 3, True): _transform_list,
    ("transformList", 4, True): _transform_list,
    ("transformMap", 3, True): _transform_map,
    ("transformMap", 4, True): _transform_map,
    ("transformMapEntry", 3, True): _transform_map_entry,
    ("transformMapEntry", 4, True): _transform_map_entry,
    ("optMap", 2, True): _optional_map(False),
    ("optFlatMap", 2, True): _optional_map(True),
    ("sortBy", 2, True): _sort_by,
}
