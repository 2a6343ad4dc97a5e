"""What can go wrong with an expression, with the texts that users know."""

from __future__ import annotations

from typing import NamedTuple


class Issue(NamedTuple):
    """One finding at a position (an offset in code points) of the source."""

    position: int
    message: str

    def render(self, source: str) -> str:
        """`ERROR: <input>:LINE:COLUMN: message`, then the line and a caret under the column."""
        start = source.rfind("\n", 0, self.position) + 1
        end = source.find("\n", start)
        line = source[start : end if end >= 0 else len(source)].replace("\t", " ")
        number = source.count("\n", 0, start) + 1
        column = self.position - start
        dots = "".join("\uff0e" if not c.isascii() else "." for c in line[:column])
        under = line[column : column + 1]
        caret = "\uff3e" if under and not under.isascii() else "^"
        return f"ERROR: <input>:{number}:{column + 1}: {self.message}\n | {line}\n | {dots}{caret}"


class CompileErrors(Exception):
    """The expression does not parse or does not type-check; `issues` in source order."""

    def __init__(self, source: str, issues: list[Issue]) -> None:
        self.source = source
        self.issues = sorted(issues, key=lambda issue: issue.position)
        super().__init__("\n".join(issue.render(source) for issue in self.issues))


class EvaluationError(Exception):
    """An expression had no value for these bindings, e.g. `no such key: x`."""


class BudgetExceeded(Exception):
    """The evaluation cost more than it was allowed to."""

    def __init__(self, cost: int) -> None:
        self.cost = cost
        super().__init__("operation cancelled: actual cost limit exceeded")


def no_such_overload(*_: object) -> EvaluationError:
    """The error of an operator or function that does not know its arguments' types."""
    return EvaluationError("no such overload")
