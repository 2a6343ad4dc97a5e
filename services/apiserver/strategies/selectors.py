"""Rules of ``metav1.LabelSelector``, and of a selector beside the template it must match."""

from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause
from pilothouse.services.machinery.labels import (
    LabelSelector,
    LabelSelectorRequirement,
    compile_map,
    compile_selector,
)

_OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")
_WITH_VALUES = ("In", "NotIn")
_FIELD = "spec.selector"
_EMPTY = {
    "deployment": "empty selector is invalid for deployment",
    "statefulset": "empty selector is invalid for statefulset",
    "daemonset": "empty selector is invalid for daemonset",
}
_UNCOMPILED = {"deployment": "invalid label selector", "statefulset": ""}


def check_selector(selector: Body, path: str) -> list[Cause]:
    """What is wrong with a label selector."""
    causes = names.check_labels(selector.get("matchLabels") or {}, f"{path}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        where = f"{path}.matchExpressions[{index}]"
        operator, values = expression.get("operator", ""), expression.get("values") or ()
        for number, value in enumerate(values):
            causes += names.check(names.label_value, value, f"{where}.values[{number}]")
        if operator not in _OPERATORS:
            causes.append(
                names.invalid(f"{where}.operator", operator, "not a valid selector operator")
            )
        elif operator in _WITH_VALUES and not values:
            detail = "must be specified when `operator` is 'In' or 'NotIn'"
            causes.append(names.required(f"{where}.values", detail))
        elif operator not in _WITH_VALUES and values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            causes.append(names.forbidden(f"{where}.values", detail))
        if wrong := names.qualified(expression.get("key", "")):
            causes.append(names.invalid(f"{where}.key", expression.get("key", ""), wrong))
    return causes


def check_match(selector: Body | None, labels: dict[str, str], owner: str) -> list[Cause]:
    """The selector of ``spec`` is there, is not empty, and matches the template's labels."""
    if selector is None:
        # A DaemonSet's that is missing just matches nothing.
        causes = [names.required("spec.selector")] if owner != "daemonset" else []
        return [*causes, _mismatch(labels)]
    causes = check_selector(selector, "spec.selector")
    if causes:
        # Of what can not be compiled nothing more is told, but that it can not.
        detail = _UNCOMPILED.get(owner)
        return causes if detail is None else [*causes, names.invalid(_FIELD, selector, detail)]
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        detail = _EMPTY.get(owner)
        return [names.invalid(_FIELD, selector, detail)] if detail else []
    compiled = compile_selector(
        LabelSelector(
            match_labels=selector.get("matchLabels") or {},
            match_expressions=tuple(
                LabelSelectorRequirement(
                    key=item["key"],
                    operator=item["operator"],
                    values=tuple(item.get("values") or ()),
                )
                for item in selector.get("matchExpressions") or ()
            ),
        )
    )
    if compiled is None or not compiled.matches(labels):
        return [_mismatch(labels)]
    return []


def check_map_match(selector: dict[str, str], labels: dict[str, str]) -> list[Cause]:
    """The plain selector of a ReplicationController likewise."""
    compiled = compile_map(selector)
    if compiled is None:
        return [names.required("spec.selector")]
    return [] if compiled.matches(labels) else [_mismatch(labels)]


def _mismatch(labels: dict[str, str]) -> Cause:
    detail = "`selector` does not match template `labels`"
    return names.invalid("spec.template.metadata.labels", labels or None, detail)
