"""Rules of what a Job makes of pods that fail, and of when it has succeeded."""

import re

from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

RULES_MAX = 20
EXIT_CODES_MAX = 255
PATTERNS_MAX = 20
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUSES = ("False", "True", "Unknown")
_INDEXES = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")


def check_failure_policy(policy: Body, spec: Body, path: str) -> list[Cause]:
    """``podFailurePolicy``."""
    rules = policy.get("rules") or []
    if len(rules) > RULES_MAX:
        return [names.too_many(f"{path}.rules", len(rules), RULES_MAX)]
    template = (spec.get("template") or {}).get("spec") or {}
    containers = {
        container.get("name")
        for member in ("containers", "initContainers")
        for container in template.get(member) or ()
    }
    causes: list[Cause] = []
    for index, rule in enumerate(rules):
        causes += _rule(rule, spec, containers, f"{path}.rules[{index}]")
    return causes


def _rule(rule: Body, spec: Body, containers: set[str | None], where: str) -> list[Cause]:
    causes: list[Cause] = []
    action = rule.get("action", "")
    if not action:
        causes.append(names.required(f"{where}.action", f"valid values: {_quoted(_ACTIONS)}"))
    elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        detail = "requires the backoffLimitPerIndex to be set"
        causes.append(names.invalid(f"{where}.action", action, detail))
    elif action not in _ACTIONS:
        causes.append(names.unsupported(f"{where}.action", action, _ACTIONS))
    codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or []
    if codes is not None:
        causes += _exit_codes(codes, containers, f"{where}.onExitCodes")
    if len(conditions) > PATTERNS_MAX:
        causes.append(names.too_many(f"{where}.onPodConditions", len(conditions), PATTERNS_MAX))
    for index, pattern in enumerate(conditions):
        at = f"{where}.onPodConditions[{index}]"
        causes += names.check(names.qualified, pattern.get("type", ""), f"{at}.type")
        status = pattern.get("status", "True")
        if status not in _STATUSES:
            causes.append(names.unsupported(f"{at}.status", status, _STATUSES))
    if codes is not None and conditions:
        detail = "specifying both OnExitCodes and OnPodConditions is not supported"
        causes.append(names.invalid(where, rule, detail))
    if codes is None and not conditions:
        detail = "specifying one of OnExitCodes and OnPodConditions is required"
        causes.append(names.invalid(where, rule, detail))
    return causes


def _exit_codes(codes: Body, containers: set[str | None], where: str) -> list[Cause]:
    causes = []
    operator, values = codes.get("operator", ""), codes.get("values") or []
    if not operator:
        detail = f"valid values: {_quoted(_OPERATORS)}"
        causes.append(names.required(f"{where}.operator", detail))
    elif operator not in _OPERATORS:
        causes.append(names.unsupported(f"{where}.operator", operator, _OPERATORS))
    name = codes.get("containerName")
    if name is not None and name not in containers:
        field = f"{where}.containerName"
        causes.append(names.invalid(field, name, "must be one of the container or initContainer "
                      "names in the pod template"))  # fmt: skip
    if not values:
        causes.append(names.invalid(f"{where}.values", values, "at least one value is required"))
    elif len(values) > EXIT_CODES_MAX:
        causes.append(names.too_many(f"{where}.values", len(values), EXIT_CODES_MAX))
    seen: set[int] = set()
    for index, value in enumerate(values):
        field = f"{where}.values[{index}]"
        if operator == "In" and value == 0:
            detail = "must not be 0 for the In operator"
            causes.append(names.invalid(field, value, detail))
        if value in seen:
            causes.append(names.duplicate(field, value))
        seen.add(value)
    if values != sorted(values):
        causes.append(names.invalid(f"{where}.values", values, "must be ordered"))
    return causes


def check_success_policy(policy: Body, spec: Body, path: str) -> list[Cause]:
    """``successPolicy``."""
    rules = policy.get("rules") or []
    if spec.get("completionMode") != "Indexed":
        return [names.invalid(path, policy, "requires indexed completion mode")]
    if not rules:
        detail = "at least one rules must be specified when the successPolicy is specified"
        return [names.required(f"{path}.rules", detail)]
    if len(rules) > RULES_MAX:
        return [names.too_many(f"{path}.rules", len(rules), RULES_MAX)]
    causes: list[Cause] = []
    completions = spec.get("completions")
    for index, rule in enumerate(rules):
        where = f"{path}.rules[{index}]"
        count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
        if count is None and indexes is None:
            detail = "at least one of succeededCount or succeededIndexes must be specified"
            causes.append(names.required(where, detail))
        if indexes is not None and not _INDEXES.fullmatch(indexes):
            detail = f'cannot convert string to integer for index: "{indexes}"'
            causes.append(names.invalid(f"{where}.succeededIndexes", indexes, detail))
        if count is not None:
            causes += names.check_least(count, f"{where}.succeededCount")
            if completions is not None and count > completions:
                detail = f"must be less than or equal to {completions} (the number of specified "
                detail += "completions)"
                causes.append(names.invalid(f"{where}.succeededCount", count, detail))
    return causes


def _quoted(choices: tuple[str, ...]) -> str:
    return "[" + " ".join(f'"{choice}"' for choice in choices) + "]"
