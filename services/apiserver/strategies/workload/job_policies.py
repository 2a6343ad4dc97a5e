"""Rules of what a Job makes of pods that fail, and of when it has succeeded."""

import re

from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

RULES_MAX = 20
EXIT_CODES_MAX = 255
PATTERNS_MAX = 20
INDEXES_BYTES_MAX = 64 * 1024
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUSES = ("False", "True", "Unknown")
_NUMBER = re.compile(r"[0-9]{1,10}")


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
        causes.append(Cause(where, f"Invalid value: {detail}"))
    if codes is None and not conditions:
        detail = "specifying one of OnExitCodes and OnPodConditions is required"
        causes.append(Cause(where, f"Invalid value: {detail}"))
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
    for index, rule in enumerate(rules):
        causes += _success_rule(rule, spec.get("completions") or 0, f"{path}.rules[{index}]")
    return causes


def _success_rule(rule: Body, completions: int, where: str) -> list[Cause]:
    count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and indexes is None:
        detail = "at least one of succeededCount or succeededIndexes must be specified"
        return [names.required(where, detail)]
    causes: list[Cause] = []
    total = 0
    if indexes is not None:
        field = f"{where}.succeededIndexes"
        if len(indexes) > INDEXES_BYTES_MAX:
            causes.append(names.too_long(field, INDEXES_BYTES_MAX))
        try:
            total = count_indexes(indexes, completions)
        except ValueError as error:
            detail = f"error parsing succeededIndexes: {error}"
            causes.append(names.invalid(field, indexes, detail))
    if count is None:
        return causes
    field, detail = f"{where}.succeededCount", "must be less than or equal to"
    causes += names.check_least(count, field)
    if count > completions:
        of_all = f"{detail} {completions} (the number of specified completions)"
        causes.append(names.invalid(field, count, of_all))
    if indexes is not None and count > total:
        detail += f" {total} (the number of indexes in the specified succeededIndexes field)"
        causes.append(names.invalid(field, count, detail))
    return causes


def count_indexes(text: str, completions: int) -> int:
    """How many indexes ``0,2-4`` means.

    Raises:
        ValueError: it is not written like that, or an index is not below ``completions``.
    """
    last, total = -1, 0
    for part in text.split(",") if text else ():
        bounds = part.split("-")
        if len(bounds) > 2:  # noqa: PLR2004 - from and to
            raise ValueError(f'the fragment "{part}" violates the requirement that an index '
                             "interval can have at most two parts separated by '-'")  # fmt: skip
        numbers = [_index(bound, completions) for bound in bounds]
        if len(numbers) > 1 and numbers[0] >= numbers[1]:
            raise ValueError(f"non-increasing order, previous: {numbers[0]}, "
                             f"current: {numbers[1]}")  # fmt: skip
        if last >= numbers[0]:
            raise ValueError(f"non-increasing order, previous: {last}, current: {numbers[0]}")
        last = numbers[-1]
        total += last - numbers[0] + 1
    return total


def _index(text: str, completions: int) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f'cannot convert string to integer for index: "{text}"')
    if int(text) >= completions:
        raise ValueError(f'too large index: "{text}"')
    return int(text)


def _quoted(choices: tuple[str, ...]) -> str:
    return "[" + " ".join(f'"{choice}"' for choice in choices) + "]"
