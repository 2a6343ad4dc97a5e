"""Compiled expressions: see the package's docstring for the door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilothouse.services.machinery.cel.checker import Checker
from pilothouse.services.machinery.cel.compiler import Compiler
from pilothouse.services.machinery.cel.costs import PER_CALL_LIMIT
from pilothouse.services.machinery.cel.environment import SIGNATURES, Environment
from pilothouse.services.machinery.cel.errors import (
    BudgetExceeded,
    CompileErrors,
    EvaluationError,
    Issue,
)
from pilothouse.services.machinery.cel.estimate import CostEstimate, estimate
from pilothouse.services.machinery.cel.literals import invalid_literals, mixed_literals
from pilothouse.services.machinery.cel.parser import parse
from pilothouse.services.machinery.cel.types import BOOL, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pilothouse.services.machinery.cel.nodes import Node
    from pilothouse.services.machinery.cel.schema import Declaration

_TOO_DEEP = "expression recursion limit exceeded: 250"


class Program:
    """One compiled expression, reusable and without state between evaluations."""

    __slots__ = ("_converted", "_cost", "_node", "_run", "_size", "references", "result", "source")

    def __init__(
        self,
        source: str,
        node: Node,
        result: Type,
        references: frozenset[str],
        environment: Environment,
    ) -> None:
        self.source = source
        self.result = result
        # The declared variables that the expression reads, e.g. {"self", "oldSelf"}.
        self.references = references
        self._node = node
        names = sorted(references)
        compiler = Compiler(names, SIGNATURES)
        code = compiler.compile(node)
        self._run, self._cost = code.run, code.cost
        self._size = compiler.size
        self._converted = [(name, environment.variables[name].convert) for name in names]

    def evaluate(
        self, bindings: Mapping[str, Any], budget: int = PER_CALL_LIMIT
    ) -> tuple[Any, int]:
        """(value, cost) for JSON-like values of the variables.

        Raises EvaluationError where the expression has no value, BudgetExceeded where it would
        cost more than `budget`. A variable that is read but not bound is an EvaluationError.
        """
        frame: list[Any] = [self._cost, budget, *([None] * (self._size - 2))]
        slot = 2
        for name, convert in self._converted:
            try:
                value = bindings[name]
            except KeyError:
                raise EvaluationError(f"no such attribute(s): {name}") from None
            frame[slot] = value if convert is None or value is None else convert(value)
            slot += 1
        try:
            value = self._run(frame)
        except RecursionError:
            raise EvaluationError("expression is nested too deeply") from None
        except OverflowError as error:
            raise EvaluationError(str(error)) from None
        if frame[0] > budget:
            raise BudgetExceeded(frame[0])
        return value, frame[0]

    def cost_estimate(self, bounds: Declaration | None = None) -> CostEstimate:
        """The least and most that an evaluation can cost.

        `bounds` is the declaration of the variables' schema (upstream measures every variable by
        the one of `self`); without it sizes are unbounded.
        """
        return estimate(self._node, bounds)


def compile_expression(
    source: str, environment: Environment, result: Type | None = BOOL
) -> Program:
    """Parses, checks and compiles; with `result` None any type is allowed.

    Raises CompileErrors. The result's type must be exactly `result` (upstream does not accept dyn
    for bool): its issue then reads `cel expression must evaluate to a bool`.
    """
    try:
        node = parse(source, environment.bindings)
        checker = Checker(environment.variable_types, environment.functions)
        found = checker.run(node)
        if checker.issues:
            raise CompileErrors(source, checker.issues)
        wrong = [*invalid_literals(checker.nodes), *mixed_literals(node)]
        if wrong:
            raise CompileErrors(source, wrong)
        if result is not None and not _is(found, result):
            raise CompileErrors(source, [Issue(0, f"cel expression must evaluate to a {result}")])
        return Program(source, node, found, frozenset(checker.referenced), environment)
    except RecursionError:
        raise CompileErrors(source, [Issue(0, _TOO_DEEP)]) from None


def _is(found: Type, wanted: Type) -> bool:
    return found.kind == wanted.kind and str(found) == str(wanted)
