"""``x-kubernetes-validations``: rules of CEL over a value, and over what stood there before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pilothouse.services.apiserver.crds.pruning import SCALARS
from pilothouse.services.apiserver.crds.values import ABSENT
from pilothouse.services.machinery import names
from pilothouse.services.machinery.cel import costs, types, values
from pilothouse.services.machinery.cel.environment import Environment
from pilothouse.services.machinery.cel.errors import (
    BudgetExceeded,
    CompileErrors,
    EvaluationError,
)
from pilothouse.services.machinery.cel.program import Program, compile_expression
from pilothouse.services.machinery.cel.schema import Declaration, optional, schema_type
from pilothouse.services.machinery.errors import Cause
from pilothouse.services.machinery.schema.report import Path, render

Schema = Mapping[str, Any]

VALIDATIONS = "x-kubernetes-validations"
MESSAGE_MAX = 5 * 1024
_NO_BUDGET = (
    "validation failed due to running out of cost budget, no further validation rules will be run"
)
_NO_MESSAGE_BUDGET = (
    "messageExpression evaluation failed due to running out of cost budget, no further validation "
    "rules will be run"
)


class OutOfBudget(Exception):
    """The rules of one object cost more than they may; the cause is noted already."""


@dataclass(slots=True)
class Run:
    """One object's rules being run: what they may still cost, and what they found."""

    causes: list[Cause]
    budget: int = costs.RUNTIME_BUDGET


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``program`` None: it does not compile, which ``error`` says."""

    text: str
    message: str
    reason: str
    path: str
    optional: bool
    program: Program | None
    told: Program | None
    error: str = ""

    @property
    def transitional(self) -> bool:
        """Whether it looks at what was before."""
        return self.program is not None and "oldSelf" in self.program.references


@dataclass(frozen=True, slots=True)
class Node:
    """The rules of one schema, and of those below it."""

    type: str
    rules: tuple[Rule, ...]
    properties: Mapping[str, "Node"] = field(default_factory=dict)
    values: "Node | None" = None
    element: "Node | None" = None
    keys: tuple[str, ...] = ()

    def check(
        self, value: Any, old: Any, path: Path, run: Run, near: tuple[Any, Any] = (None, ABSENT)
    ) -> None:
        """Note what is wrong; ``near`` is the nearest value above, with what it was.

        Raises:
            OutOfBudget: the rest was not looked at.
        """
        if value is None:
            return
        here = near if old is ABSENT else (value, old)
        if self.rules:
            _run_rules(self, value, old, path, run, here)
        if type(value) is dict and (self.properties or self.values is not None):
            before = old if type(old) is dict else {}
            for name, item in value.items():
                below = self.properties.get(name, self.values)
                if below is not None:
                    was = before.get(name, ABSENT)
                    if path is None and name in ("apiVersion", "kind"):
                        here = (None, ABSENT)
                    below.check(item, was, (path, name), run, here)
        elif type(value) is list and self.element is not None:
            known = _by_key(old, self.keys) if self.keys and type(old) is list else {}
            for index, item in enumerate(value):
                was = known.get(_key(item, self.keys), ABSENT) if known else ABSENT
                self.element.check(item, was, (path, index), run, here)


def _key(item: Any, keys: tuple[str, ...]) -> str:
    return repr([item.get(key) for key in keys]) if type(item) is dict else ""


def _by_key(old: list[Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {_key(item, keys): item for item in old}


def compile_rules(schema: Schema, *, root: bool = True) -> Node | None:
    """The rules of a schema and all below it; None when there are none."""
    found = {
        name: compile_rules(item, root=False)
        for name, item in (schema.get("properties") or {}).items()
    }
    properties = {name: node for name, node in found.items() if node is not None}
    below, items = schema.get("additionalProperties"), schema.get("items")
    inner = compile_rules(below, root=False) if isinstance(below, dict) else None
    element = compile_rules(items, root=False) if isinstance(items, dict) else None
    rules = compiled(schema, root=root)
    if not rules and not properties and inner is None and element is None:
        return None
    keyed = schema.get("x-kubernetes-list-type") == "map"
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ()) if keyed else ()
    return Node(schema.get("type", ""), rules, properties, inner, element, keys)


def compiled(schema: Schema, *, root: bool) -> tuple[Rule, ...]:
    """The rules of one schema."""
    given = schema.get(VALIDATIONS)
    if not given:
        return ()
    declaration = schema_type(schema, root=root)
    return tuple(_rule(each, declaration) for each in given)


def _rule(given: Mapping[str, Any], declaration: Declaration | None) -> Rule:
    text, told = (given.get("rule") or "").strip(), (given.get("messageExpression") or "").strip()
    maybe = bool(given.get("optionalOldSelf"))
    program = message = None
    error = "" if declaration is not None else "its value is of no type that rules can see"
    if declaration is not None:
        before = optional(declaration) if maybe else declaration
        environment = Environment({"self": declaration, "oldSelf": before})
        try:
            program = compile_expression(text, environment)
        except CompileErrors as wrong:
            error = _refusal(wrong, "cel expression must evaluate to a bool", "")
        try:
            message = compile_expression(told, environment, types.STRING) if told else None
        except CompileErrors as wrong:
            said = "messageExpression must evaluate to a string"
            error = error or _refusal(wrong, said, "messageExpression ")
    return Rule(
        text=text,
        message=(given.get("message") or "").strip(),
        reason=given.get("reason") or "FieldValueInvalid",
        path=normal_path(given.get("fieldPath") or ""),
        optional=maybe,
        program=program,
        told=message,
        error=error,
    )


def _refusal(wrong: CompileErrors, said: str, title: str) -> str:
    if wrong.issues[0].message.startswith("cel expression must evaluate to"):
        return said
    return f"{title}compilation failed: {wrong}"


def normal_path(path: str) -> str:
    """``.a['b'].c`` as ``a[b].c``, as errors name fields."""
    return path.strip().removeprefix(".").replace("['", "[").replace("']", "]")


def _run_rules(
    node: Node, value: Any, old: Any, path: Path, run: Run, here: tuple[Any, Any]
) -> None:
    where = render(path) or "<nil>"
    if run.budget <= 0:
        run.causes.append(names.invalid(where, node.type, _NO_BUDGET))
        raise OutOfBudget
    for rule in node.rules:
        if rule.program is None:
            detail = f"rule compile error: {rule.error}"
            run.causes.append(names.invalid(where, node.type, detail))
            continue
        if rule.transitional and old is ABSENT and not rule.optional:
            continue
        before = values.NONE if old is ABSENT and rule.optional else old
        bindings = {"self": value, "oldSelf": None if before is ABSENT else before}
        if not _holds(rule, rule.program, bindings, node.type, where, run):
            if not rule.transitional and here[1] is not ABSENT and here[0] == here[1]:
                continue
            run.causes.append(
                _cause(node, rule, value, where, _message(rule, bindings, run, where))
            )


def _holds(
    rule: Rule, program: Program, bindings: Mapping[str, Any], type_: str, where: str, run: Run
) -> bool:
    """Whether the rule holds; True also where it has no value, which is noted."""
    shown = rule.message or rule.text
    try:
        result, cost = program.evaluate(bindings, costs.PER_CALL_LIMIT)
    except BudgetExceeded:
        detail = (
            "'operation cancelled: actual cost limit exceeded': no further validation rules will "
            f"be run due to call cost exceeds limit for rule: {shown}"
        )
        run.causes.append(names.invalid(where, type_, detail))
        raise OutOfBudget from None
    except EvaluationError as error:
        detail = f"{error} evaluating rule: {shown}"
        if str(error).startswith("no such overload"):
            detail = (
                f"'{error}': call arguments did not match a supported operator, function or macro "
                f"signature for rule: {shown}"
            )
        run.causes.append(names.invalid(where, type_, detail))
        return True
    if cost > run.budget:
        run.causes.append(names.invalid(where, type_, _NO_BUDGET))
        raise OutOfBudget
    run.budget -= cost
    return result is True


def _message(rule: Rule, bindings: Mapping[str, Any], run: Run, where: str) -> str:
    default = rule.message or f"failed rule: {rule.text}"
    if rule.told is None:
        return default
    try:
        text, cost = rule.told.evaluate(bindings, costs.PER_CALL_LIMIT)
    except BudgetExceeded:
        run.causes.append(names.invalid(where, "object", _NO_MESSAGE_BUDGET))
        raise OutOfBudget from None
    except EvaluationError:
        return default
    if cost > run.budget:
        run.causes.append(names.invalid(where, "object", _NO_MESSAGE_BUDGET))
        raise OutOfBudget
    run.budget -= cost
    trimmed = text.strip() if isinstance(text, str) else ""
    usable = trimmed and "\n" not in trimmed and len(trimmed.encode()) <= MESSAGE_MAX
    return trimmed if usable else default


def _cause(node: Node, rule: Rule, value: Any, where: str, detail: str) -> Cause:
    if rule.path:
        where = rule.path if where == "<nil>" else f"{where}.{rule.path}"
    shown = f" {names.show(value)}:" if node.type in SCALARS or not node.type else ""
    match rule.reason:
        case "FieldValueForbidden":
            return names.forbidden(where, detail)
        case "FieldValueRequired":
            return names.required(where, detail)
        case "FieldValueDuplicate":
            return Cause(where, f"Duplicate value:{shown}".rstrip(":"), rule.reason)
    return Cause(where, f"Invalid value:{shown} {detail}", "FieldValueInvalid")
