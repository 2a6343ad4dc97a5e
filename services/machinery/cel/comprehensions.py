"""Folds over lists and maps as Python loops, charged like upstream's expansion of the macro."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pilothouse.services.machinery.cel.costs import LIST_COST
from pilothouse.services.machinery.cel.errors import (
    BudgetExceeded,
    EvaluationError,
    no_such_overload,
)
from pilothouse.services.machinery.cel.frames import Code, Failed, Frame
from pilothouse.services.machinery.cel.nodes import Call, Comprehension, ListNode, Node
from pilothouse.services.machinery.cel.values import kind_of

if TYPE_CHECKING:
    from pilothouse.services.machinery.cel.compiler import Compiler

Places = tuple[int, int | None]


def fold(compiler: Compiler, node: Comprehension) -> Code:
    """The loop of one macro."""
    if node.macro == "bind":
        return _bind(compiler, node)
    places = (compiler.slot(), compiler.slot() if node.second else None)
    names = {node.variable: places[0]}
    if node.second is not None and places[1] is not None:
        names[node.second] = places[1]
    over = compiler.compile(node.range)
    return _FOLDS[node.macro](compiler, node, _Loop(over, places, names))


class _Loop:
    """The range and variables of a fold."""

    def __init__(self, over: Code, places: Places, names: dict[str, int]) -> None:
        self.range = over.run
        self.cost = over.cost
        self.names = names
        self.first, self.second = places

    def bind(self) -> Callable[[Frame], Iterable[object]]:
        """Iterates over the range; every round sets the variables in the frame."""
        range_, first, second = self.range, self.first, self.second

        def one(f: Frame) -> Iterable[object]:
            for item in _items(range_(f)):
                f[first] = item
                yield item

        def two(f: Frame) -> Iterable[object]:
            value = range_(f)
            pairs = value.items() if isinstance(value, Mapping) else enumerate(_items(value))
            for f[first], f[other] in pairs:
                yield None

        if second is None:
            return one
        other = second
        return two


def _items(value: object) -> Iterable[object]:
    if isinstance(value, list | Mapping):
        return value
    raise EvaluationError(f"got '{kind_of(value)}', expected iterable type")


def _charge(f: Frame, cost: int) -> None:
    f[0] += cost
    if f[0] > f[1]:
        raise BudgetExceeded(f[0])


def _step_argument(node: Comprehension, index: int) -> Node:
    assert isinstance(node.step, Call)  # noqa: S101 - so the parser and macros made it
    return node.step.args[index]


def _quantifier(
    decisive: bool, condition_cost: int
) -> Callable[[Compiler, Comprehension, _Loop], Code]:
    """all() and exists(): stop at the first decisive element, which absorbs errors of others."""

    def make(compiler: Compiler, node: Comprehension, loop: _Loop) -> Code:
        predicate = compiler.scoped(loop.names, _step_argument(node, 1))
        test, rounds = predicate.run, loop.bind()
        per_round = condition_cost + 1 + predicate.cost

        def run(f: Frame) -> bool:
            error: EvaluationError | None = None
            decided = False
            for _ in rounds(f):
                if decided:
                    _charge(f, condition_cost)
                    break
                _charge(f, per_round)
                try:
                    value = test(f)
                except EvaluationError as failed:
                    error = error or failed
                    continue
                if value is decisive:
                    decided = True
                elif type(value) is not bool:
                    error = error or no_such_overload()
            if decided:
                return decisive
            if error is not None:
                raise error
            return not decisive

        return Code(run, loop.cost + 1)

    return make


def _exists_one(compiler: Compiler, node: Comprehension, loop: _Loop) -> Code:
    predicate = compiler.scoped(loop.names, _step_argument(node, 0))
    test, cost, rounds = predicate.run, predicate.cost, loop.bind()

    def run(f: Frame) -> bool:
        count = 0
        for _ in rounds(f):
            _charge(f, cost)
            value = test(f)
            if value is True:
                f[0] += 2
                count += 1
            elif value is not False:
                raise no_such_overload()
        return count == 1

    return Code(run, loop.cost + 2)


def _map(compiler: Compiler, node: Comprehension, loop: _Loop) -> Code:
    element = compiler.scoped(loop.names, _element(node.step))
    produce, rounds = element.run, loop.bind()
    cost = LIST_COST + 2 + element.cost

    def run(f: Frame) -> list[Any]:
        result = []
        for _ in rounds(f):
            _charge(f, cost)
            result.append(produce(f))
        return result

    return Code(run, loop.cost + 1)


def _filter(compiler: Compiler, node: Comprehension, loop: _Loop) -> Code:
    predicate = compiler.scoped(loop.names, _step_argument(node, 0))
    element = compiler.scoped(loop.names, _element(_step_argument(node, 1)))
    test, produce, rounds = predicate.run, element.run, loop.bind()
    cost, kept_cost = predicate.cost, LIST_COST + 2 + element.cost

    def run(f: Frame) -> list[Any]:
        result = []
        for _ in rounds(f):
            _charge(f, cost)
            value = test(f)
            if value is True:
                f[0] += kept_cost
                result.append(produce(f))
            elif value is not False:
                raise no_such_overload()
        return result

    return Code(run, loop.cost + 1)


def _element(step: Node) -> Node:
    """What a step `accumulator + [x]` appends."""
    assert isinstance(step, Call)  # noqa: S101 - so the parser and macros made it
    appended = step.args[1]
    assert isinstance(appended, ListNode)  # noqa: S101 - so the parser and macros made it
    return appended.elements[0]


def _transform_map(compiler: Compiler, node: Comprehension, loop: _Loop) -> Code:
    accumulated = compiler.slot()
    step = compiler.scoped({**loop.names, node.accumulator: accumulated}, node.step)
    advance, cost, rounds = step.run, step.cost, loop.bind()

    def run(f: Frame) -> Any:
        f[accumulated] = {}
        for _ in rounds(f):
            _charge(f, cost)
            f[accumulated] = advance(f)
        return f[accumulated]

    return Code(run, loop.cost + 1)


def _bind(compiler: Compiler, node: Comprehension) -> Code:
    place = compiler.slot()
    value = compiler.compile(node.initial)
    result = compiler.scoped({node.accumulator: place}, node.result, bound=True)
    evaluate, cost, proceed = value.run, value.cost, result.run

    def run(f: Frame) -> Any:
        f[0] += cost
        try:
            f[place] = evaluate(f)
        except EvaluationError as error:
            # An unused binding's error is no error.
            f[place] = Failed(error)
        return proceed(f)

    return Code(run, result.cost)


_FOLDS: dict[str, Callable[[Compiler, Comprehension, _Loop], Code]] = {
    "all": _quantifier(decisive=False, condition_cost=2),
    "exists": _quantifier(decisive=True, condition_cost=3),
    "exists_one": _exists_one,
    "map": _map,
    "filter": _filter,
    "transformMap": _transform_map,
}
