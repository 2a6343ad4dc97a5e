"""Whether the rules of a schema compile, and what they can cost at most. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pilothouse.services.apiserver.crds.expressions import VALIDATIONS, Rule, compiled
from pilothouse.services.machinery import names
from pilothouse.services.machinery.cel import costs
from pilothouse.services.machinery.cel.schema import MAX_REQUEST_BYTES, Declaration, schema_type
from pilothouse.services.machinery.errors import Cause

Schema = Mapping[str, Any]

_FACTOR_MAX = 100.0
_FACTOR_MIN = 1.5
_SHOWN_MAX = 4


@dataclass(frozen=True, slots=True)
class _Place:
    """How often a schema can be met in one object, None where nothing says; and ``apart``: the
    place within which old and new values can not be matched.
    """

    times: int | None = 1
    apart: str = ""

    def many(self, most: int | None) -> "_Place":
        known = self.times is not None and most is not None
        return replace(self, times=(self.times or 0) * (most or 0) if known else None)


@dataclass(slots=True)
class _Total:
    cost: int = 0
    each: list[tuple[int, str]] = field(default_factory=list)

    def add(self, cost: int, where: str) -> None:
        self.cost += cost
        self.each.append((cost, where))


def check_rules(schema: Schema, where: str) -> list[Cause]:
    """What is wrong with the rules anywhere in a schema that is sound otherwise."""
    total = _Total()
    causes = _check(schema, where, _Place(), total, root=True)
    if total.cost > costs.STATIC_LIMIT_PER_DEFINITION:
        detail = (
            "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 "
            "schema"
        )
        dearest = sorted(total.each, reverse=True)[:_SHOWN_MAX]
        causes += [names.forbidden(place, detail) for _, place in dearest]
        title = f"{VALIDATIONS} estimated rule cost total for entire OpenAPIv3 schema"
        told = _exceeds(title, total.cost, costs.STATIC_LIMIT_PER_DEFINITION)
        causes.append(names.forbidden(where, told))
    return causes


def _check(
    schema: Schema, where: str, place: _Place, total: _Total, *, root: bool = False
) -> list[Cause]:
    causes = _check_own(schema, where, place, total, root=root)
    for name, inner in (schema.get("properties") or {}).items():
        causes += _check(inner, f"{where}.properties[{name}]", place, total)
    if isinstance(schema.get("additionalProperties"), dict):
        below = place.many(schema.get("maxProperties"))
        inner = schema["additionalProperties"]
        causes += _check(inner, f"{where}.additionalProperties", below, total)
    if isinstance(schema.get("items"), dict):
        below = place.many(schema.get("maxItems"))
        if schema.get("x-kubernetes-list-type") != "map" and not below.apart:
            below = replace(below, apart=where)
        causes += _check(schema["items"], f"{where}.items", below, total)
    return causes


def _check_own(
    schema: Schema, where: str, place: _Place, total: _Total, *, root: bool
) -> list[Cause]:
    given = schema.get(VALIDATIONS) or ()
    if not given:
        return []
    declaration = schema_type(schema, root=root)
    causes: list[Cause] = []
    for index, rule in enumerate(compiled(schema, root=root)):
        here = f"{where}.{VALIDATIONS}[{index}]"
        if rule.error:
            field_ = "rule" if rule.program is None else "messageExpression"
            causes.append(names.invalid(f"{here}.{field_}", given[index], rule.error))
            continue
        causes += _check_costs(rule, here, place, total, declaration)
        if rule.transitional and place.apart:
            detail = (
                "oldSelf cannot be used on the uncorrelatable portion of the schema within "
                f"{place.apart}"
            )
            causes.append(names.invalid(f"{here}.rule", given[index].get("rule"), detail))
        elif not rule.transitional and given[index].get("optionalOldSelf") is not None:
            detail = "may not be set if oldSelf is not used in rule"
            told = given[index]["optionalOldSelf"]
            causes.append(names.invalid(f"{here}.optionalOldSelf", told, detail))
    return causes


def _check_costs(
    rule: Rule, where: str, place: _Place, total: _Total, declaration: Declaration | None
) -> list[Cause]:
    causes = []
    for program, name, title, multiplied in (
        (rule.program, "rule", "estimated rule cost", True),
        (rule.told, "messageExpression", "estimated messageExpression cost", False),
    ):
        if program is None or declaration is None:
            continue
        cost = program.cost_estimate(declaration).max
        if multiplied:
            unbounded = MAX_REQUEST_BYTES // (declaration.min_size + 1)
            cost *= unbounded if place.times is None else place.times
        total.add(cost, f"{where}.{name}")
        if cost > costs.STATIC_LIMIT_PER_EXPRESSION:
            told = _exceeds(title, cost, costs.STATIC_LIMIT_PER_EXPRESSION)
            causes.append(names.forbidden(f"{where}.{name}", told))
    return causes


def _exceeds(title: str, cost: float, limit: int) -> str:
    factor = cost / limit
    if factor > _FACTOR_MAX:
        shown = "more than 100x"
    elif factor < _FACTOR_MIN:
        shown = f"{factor:f}x"
    else:
        shown = f"{factor:.1f}x"
    return (
        f"{title} exceeds budget by factor of {shown} (try simplifying the rule, or adding "
        "maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
