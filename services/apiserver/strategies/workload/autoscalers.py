"""HorizontalPodAutoscalers, in the shape of autoscaling/v2."""

from typing import Any

from pilothouse.services.apiserver.strategies.selectors import check_selector
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy
from pilothouse.services.machinery import names, quantity
from pilothouse.services.machinery.errors import Cause

CPU_PERCENT = 80
PERIOD_SECONDS_MAX = 1800
WINDOW_SECONDS_MAX = 3600
_SOURCES = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
# Metrics that are there where no pod is.
_OF_NO_POD = ("Object", "External")
_TARGETS = ("Utilization", "Value", "AverageValue")
_SELECT = ("Max", "Min", "Disabled")
_POLICIES = ("Pods", "Percent")
_POSITIVE = "must be greater than zero"


def _default(body: Body) -> None:
    spec = body.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": CPU_PERCENT}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is None:
        return
    everything = {"type": "Percent", "value": 100, "periodSeconds": 15}
    four = {"type": "Pods", "value": 4, "periodSeconds": 15}
    for field, policies, window in (
        ("scaleUp", [four, everything], 0), ("scaleDown", [everything], None),
    ):  # fmt: skip
        rules = behavior.setdefault(field, {})
        rules.setdefault("selectPolicy", "Max")
        rules.setdefault("policies", [dict(policy) for policy in policies])
        if window is not None:
            rules.setdefault("stabilizationWindowSeconds", window)


def _check(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    causes: list[Cause] = []
    if least is not None and least < 0:
        detail = "must be greater than or equal to 0"
        causes.append(names.invalid("spec.minReplicas", least, detail))
    if least == 0 and not any(
        metric.get("type") in _OF_NO_POD for metric in spec.get("metrics") or ()
    ):
        detail = (
            "must specify at least one Object or External metric to support scaling to zero "
            "replicas"
        )
        causes.append(names.forbidden("spec.metrics", detail))
    if most < 1:
        causes.append(names.invalid("spec.maxReplicas", most, "must be greater than 0"))
    if least is not None and most < least:
        detail = "must be greater than or equal to `minReplicas`"
        causes.append(names.invalid("spec.maxReplicas", most, detail))
    causes += _reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    for index, metric in enumerate(spec.get("metrics") or ()):
        causes += _metric(metric, f"spec.metrics[{index}]")
    for field, rules in (spec.get("behavior") or {}).items():
        causes += _behavior(rules, f"spec.behavior.{field}")
    return causes


def _reference(reference: Body, path: str) -> list[Cause]:
    causes: list[Cause] = []
    for field in ("kind", "name"):
        value = reference.get(field, "")
        if value:
            causes += names.check(names.path_segment, value, f"{path}.{field}")
        else:
            causes.append(names.required(f"{path}.{field}"))
    return causes


def _metric(metric: Body, where: str) -> list[Cause]:
    kind = metric.get("type", "")
    causes: list[Cause] = []
    if not kind:
        causes.append(names.required(f"{where}.type", "must specify a metric source type"))
    if kind not in _SOURCES:
        causes.append(names.unsupported(f"{where}.type", kind, _SOURCES))
    given = [field for field in _SOURCES.values() if metric.get(field) is not None]
    if len(given) == 1:
        causes += _source(given[0], metric[given[0]], f"{where}.{given[0]}")
    expected = _SOURCES.get(kind)
    if expected is not None and expected not in given:
        detail = "must populate information for the given metric source"
        causes.append(names.required(f"{where}.{expected}", detail))
    if len(given) != 1:
        detail = "must populate the given metric source only"
        causes += [
            names.forbidden(f"{where}.{field}", detail) for field in given if field != expected
        ]
    return causes


def _source(kind: str, source: Body, path: str) -> list[Cause]:
    causes: list[Cause] = []
    if kind in ("resource", "containerResource"):
        if not source.get("name"):
            causes.append(names.required(f"{path}.name", "must specify a resource name"))
        if kind == "containerResource" and not source.get("container"):
            causes.append(names.required(f"{path}.container", "must specify a container"))
        allowed: tuple[str, ...] = ("averageUtilization", "averageValue")
    else:
        metric = source.get("metric") or {}
        if not metric.get("name"):
            causes.append(names.required(f"{path}.metric.name", "must specify a metric name"))
        else:
            causes += names.check(names.path_segment, metric["name"], f"{path}.metric.name")
        if metric.get("selector") is not None:
            causes += check_selector(metric["selector"], f"{path}.metric.selector")
        allowed = ("averageValue",) if kind == "pods" else ("value", "averageValue")
    if kind == "object":
        causes += _reference(source.get("describedObject") or {}, f"{path}.describedObject")
    target = source.get("target") or {}
    return causes + _target(target, allowed, f"{path}.target")


def _target(target: Body, allowed: tuple[str, ...], path: str) -> list[Cause]:
    kind = target.get("type", "")
    causes: list[Cause] = []
    if not kind:
        causes.append(names.required(f"{path}.type", "must specify a metric target type"))
    elif kind not in _TARGETS:
        causes.append(names.invalid(f"{path}.type", kind, "must be either Utilization, Value, or "
                                    "AverageValue"))  # fmt: skip
    for field in ("value", "averageValue"):
        amount: Any = target.get(field)
        if amount is not None and quantity.parse(amount) <= 0:
            causes.append(names.invalid(f"{path}.{field}", str(amount), "must be positive"))
    percent = target.get("averageUtilization")
    if percent is not None and percent < 1:
        detail = "must be greater than 0"
        causes.append(names.invalid(f"{path}.averageUtilization", percent, detail))
    given = [field for field in allowed if target.get(field) is not None]
    if not given:
        field = allowed[0]
        words = {
            "averageUtilization": "must set either a target raw value or a target utilization",
            "averageValue": "must specify a positive target averageValue",
            "value": "must set either a target value or averageValue",
        }
        causes.append(names.required(f"{path}.{field}", words[field]))
    elif len(given) > 1:
        words = {
            "averageUtilization": "may not set both a target raw value and a target utilization",
            "value": "may not set both a target value and a target averageValue",
        }
        causes.append(names.forbidden(f"{path}.averageValue", words[allowed[0]]))
    return causes


def _behavior(rules: Body, path: str) -> list[Cause]:
    causes: list[Cause] = []
    window = rules.get("stabilizationWindowSeconds")
    if window is not None:
        field = f"{path}.stabilizationWindowSeconds"
        causes += names.check_least(window, field)
        if window > WINDOW_SECONDS_MAX:
            detail = f"must be less than or equal to {WINDOW_SECONDS_MAX}"
            causes.append(names.invalid(field, window, detail))
    select = rules.get("selectPolicy")
    if select is not None and select not in _SELECT:
        causes.append(names.unsupported(f"{path}.selectPolicy", select, _SELECT))
    policies = rules.get("policies") or []
    if not policies:
        causes.append(names.required(f"{path}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(policies):
        causes += _policy(policy, f"{path}.policies[{index}]")
    return causes


def _policy(policy: Body, where: str) -> list[Cause]:
    kind, value = policy.get("type", ""), policy.get("value", 0)
    period = policy.get("periodSeconds", 0)
    causes: list[Cause] = []
    if kind not in _POLICIES:
        causes.append(names.unsupported(f"{where}.type", kind, _POLICIES))
    if value <= 0:
        causes.append(names.invalid(f"{where}.value", value, _POSITIVE))
    if period <= 0:
        causes.append(names.invalid(f"{where}.periodSeconds", period, _POSITIVE))
    elif period > PERIOD_SECONDS_MAX:
        detail = f"must be less than or equal to {PERIOD_SECONDS_MAX}"
        causes.append(names.invalid(f"{where}.periodSeconds", period, detail))
    return causes


def _check_status(new: Body, _old: Body) -> list[Cause]:
    status = new.get("status") or {}
    causes: list[Cause] = []
    for field in ("currentReplicas", "desiredReplicas"):
        causes += names.check_least(status.get(field), f"status.{field}")
    return causes


AUTOSCALER = Strategy(_default, _check, check_status=_check_status)
