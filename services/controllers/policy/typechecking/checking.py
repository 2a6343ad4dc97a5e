"""What is wrong with a policy's expressions, by what its rules match."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilothouse.services.controllers.policy.typechecking import known
from pilothouse.services.machinery.cel import types
from pilothouse.services.machinery.cel.environment import Environment
from pilothouse.services.machinery.cel.errors import CompileErrors
from pilothouse.services.machinery.cel.escaping import escape
from pilothouse.services.machinery.cel.program import compile_expression
from pilothouse.services.machinery.cel.schema import declare, schema_type
from pilothouse.services.machinery.kinds.validating import (
    ExpressionWarning,
    ValidatingAdmissionPolicy,
)

KINDS_MAX = 10


@dataclass(frozen=True, slots=True, order=True)
class Matched:
    """A kind by group, version and plural."""

    group: str
    version: str
    plural: str


@dataclass(frozen=True, slots=True)
class Typed:
    """A kind with its schema."""

    group: str
    version: str
    kind: str
    schema: Mapping[str, Any]

    @property
    def name(self) -> str:
        """As Go prints it."""
        place = f"{self.group}/{self.version}" if self.group else self.version
        return f"{place}, Kind={self.kind}"


def matched(policy: ValidatingAdmissionPolicy) -> list[Matched]:
    """The kinds that its rules name one by one, so many that they can all be looked at."""
    found: set[Matched] = set()
    for rule in policy.spec.match_constraints.resource_rules:
        if any("*" in word for word in (*rule.api_groups, *rule.api_versions)):
            continue
        found |= {
            Matched(group, version, plural)
            for group in rule.api_groups
            for version in rule.api_versions
            for plural in rule.resources
            if "/" not in plural and "*" not in plural
        }
    return sorted(found)[:KINDS_MAX]


def warnings(
    policy: ValidatingAdmissionPolicy, kinds: Sequence[Typed], params: Typed | None = None
) -> tuple[ExpressionWarning, ...]:
    """Of each expression that does not fit one of ``kinds``, or ``params``."""
    environments = [(kind.name, _environment(policy, kind, params)) for kind in kinds]
    found = []
    for index, validation in enumerate(policy.spec.validations):
        for field, text in (
            ("expression", validation.expression),
            ("messageExpression", validation.message_expression),
        ):
            told = "\n".join(_faults(text, environments)) if text else ""
            if told:
                where = f"spec.validations[{index}].{field}"
                found.append(ExpressionWarning(field_ref=where, warning=told))
    return tuple(found)


def _faults(text: str, environments: Iterable[tuple[str, Environment]]) -> Iterable[str]:
    for name, environment in environments:
        try:
            compile_expression(text, environment, None)
        except CompileErrors as errors:
            yield f"{name}: {errors}"


def _environment(
    policy: ValidatingAdmissionPolicy, kind: Typed, params: Typed | None
) -> Environment:
    anything = declare(types.DYN)
    object_ = schema_type(kind.schema, root=True, name=kind.kind) or anything
    given = schema_type(params.schema, root=True, name=params.kind) if params else None
    free = {
        "object": object_,
        "oldObject": object_,
        "params": given or anything,
        "request": known.REQUEST,
        "namespaceObject": known.NAMESPACE,
        "authorizer": declare(types.AUTHORIZER),
    }
    named: dict[str, types.Type] = {}
    for variable in policy.spec.variables:
        # Each sees those before it; one that does not fit may be anything to those after it.
        environment = Environment({**free, "variables": known.struct("variables", named)})
        try:
            found = compile_expression(variable.expression, environment, None).result
        except CompileErrors:
            found = types.DYN
        named[escape(variable.name) or variable.name] = found
    return Environment({**free, "variables": known.struct("variables", named)})
