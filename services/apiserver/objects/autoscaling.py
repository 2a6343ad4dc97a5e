"""HorizontalPodAutoscalers of v1, which knows of one metric: annotations carry the others.

v2  metrics, behavior, conditions, currentMetrics
v1  targetCPUUtilizationPercentage + autoscaling.alpha.kubernetes.io/{metrics,behavior,…}
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

Document = dict[str, Any]
Words: TypeAlias = tuple[tuple[tuple[str, ...], str], ...]
"""Where a value stands in a source of v2, and under which name in v1."""

_PREFIX = "autoscaling.alpha.kubernetes.io/"
_METRICS, _BEHAVIOR = f"{_PREFIX}metrics", f"{_PREFIX}behavior"
_CONDITIONS, _CURRENT = f"{_PREFIX}conditions", f"{_PREFIX}current-metrics"
_PERCENT = "targetCPUUtilizationPercentage"
_PERCENT_NOW = "currentCPUUtilizationPercentage"
_KINDS = ("resource", "containerResource", "pods", "object", "external")


def _words(of: str, said: str) -> dict[str, Words]:
    """``of`` is ``target`` or ``current``; ``said`` begins v1's names of values."""
    named: Words = ((("metric", "name"), "metricName"),)
    chosen: Words = ((("metric", "selector"), "selector"),)
    average: Words = (((of, "averageValue"), f"{said}AverageValue"),)
    share: Words = ((("name",), "name"), ((of, "averageUtilization"), f"{said}AverageUtilization"))
    value: Words = (((of, "value"), f"{said}Value"),)
    return {
        "resource": (*share, *average),
        "containerResource": (*share, *average, (("container",), "container")),
        "pods": (*named, *average, *chosen),
        "object": (
            (("describedObject",), "target"), *named, *value, *chosen,
            ((of, "averageValue"), "averageValue"),
        ),
        "external": (*named, (("metric", "selector"), "metricSelector"), *value, *average),
    }  # fmt: skip


_TARGET, _NOW = _words("target", "target"), _words("current", "current")


def up(document: Document) -> Document:
    """From v1 to v2."""
    spec, status = dict(document.get("spec") or {}), dict(document.get("status") or {})
    metadata, carried = _taken(document.get("metadata") or {})
    metrics = [_metric_up(metric, _TARGET) for metric in carried.get(_METRICS) or ()]
    percent = spec.pop(_PERCENT, None)
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        own = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
        metrics = [own, *metrics]
    if metrics:
        spec["metrics"] = metrics
    if _BEHAVIOR in carried:
        spec["behavior"] = _cased(carried[_BEHAVIOR], str.lower)
    current = [_metric_up(metric, _NOW) for metric in carried.get(_CURRENT) or ()]
    now = status.pop(_PERCENT_NOW, None)
    if now is not None and not current:
        shown = {"averageUtilization": now}
        current = [{"type": "Resource", "resource": {"name": "cpu", "current": shown}}]
    if current:
        status["currentMetrics"] = current
    if _CONDITIONS in carried:
        status["conditions"] = carried[_CONDITIONS]
    result = {**document, "metadata": metadata, "spec": spec}
    return {**result, "status": status} if status else result


def down(document: Document) -> Document:
    """From v2 to v1."""
    spec, status = dict(document["spec"]), dict(document.get("status") or {})
    carried: Document = {}
    others = []
    for metric in spec.pop("metrics", None) or ():
        percent = _cpu(metric, "target")
        if percent is not None and _PERCENT not in spec:
            spec[_PERCENT] = percent
        else:
            others.append(_metric_down(metric, _TARGET))
    if others:
        carried[_METRICS] = others
    if (behavior := spec.pop("behavior", None)) is not None:
        carried[_BEHAVIOR] = _cased(behavior, str.upper)
    current = status.pop("currentMetrics", None) or []
    for metric in current:
        if (percent := _cpu(metric, "current")) is not None:
            status[_PERCENT_NOW] = percent
    if current:
        carried[_CURRENT] = [_metric_down(metric, _NOW) for metric in current]
    if conditions := status.pop("conditions", None):
        carried[_CONDITIONS] = conditions
    # Both are always there in v1.
    status = {"currentReplicas": 0, "desiredReplicas": 0, **status}
    metadata = document["metadata"]
    if carried:
        marks = {key: _encoded(value) for key, value in carried.items()}
        metadata = {**metadata, "annotations": {**(metadata.get("annotations") or {}), **marks}}
    return {**document, "metadata": metadata, "spec": spec, "status": status}


def _cpu(metric: Document, of: str) -> int | None:
    resource = metric.get("resource") or {}
    if resource.get("name") != "cpu":
        return None
    percent: int | None = (resource.get(of) or {}).get("averageUtilization")
    return percent


def _taken(metadata: Document) -> tuple[Document, Document]:
    """The metadata without what annotations carry, and that; nonsense is passed over."""
    marks = metadata.get("annotations") or {}
    carried: Document = {}
    for key in (_METRICS, _BEHAVIOR, _CONDITIONS, _CURRENT):
        try:
            value = json.loads(marks[key])
        except (KeyError, TypeError, ValueError):
            continue
        if isinstance(value, dict if key == _BEHAVIOR else list):
            carried[key] = value
    rest = {key: value for key, value in marks.items() if not key.startswith(_PREFIX)}
    kept = {name: value for name, value in metadata.items() if name != "annotations"}
    return ({**kept, "annotations": rest} if rest else kept), carried


def _metric_down(metric: Document, words: dict[str, Words]) -> Document:
    result: Document = {"type": metric.get("type", "")}
    for kind in _KINDS:
        if (source := metric.get(kind)) is not None:
            result[kind] = {
                name: value
                for path, name in words[kind]
                if (value := _at(source, path)) is not None
            }
    return result


def _metric_up(metric: Any, words: dict[str, Words]) -> Document:
    """One metric of v2; whoever wrote the annotation may have written anything."""
    if not isinstance(metric, dict):
        return {}
    result: Document = {"type": metric.get("type", "")}
    for kind in _KINDS:
        if isinstance(source := metric.get(kind), dict):
            made: Document = {}
            for path, name in words[kind]:
                if (value := source.get(name)) is not None:
                    _put(made, path, value)
            result[kind] = made
            if (target := made.get("target")) is not None:
                target["type"] = _type(target)
    return result


def _type(target: Document) -> str:
    if "averageUtilization" in target:
        return "Utilization"
    return "AverageValue" if "averageValue" in target else "Value"


def _at(source: Any, path: Iterable[str]) -> Any:
    for step in path:
        source = (source or {}).get(step)
    return source


def _put(target: Document, path: tuple[str, ...], value: Any) -> None:
    for step in path[:-1]:
        target = target.setdefault(step, {})
    target[path[-1]] = value


def _cased(value: Any, first: Callable[[str], str]) -> Any:
    """The behaviour is carried in the words of Go, whose fields begin with a capital."""
    if isinstance(value, dict):
        return {f"{first(name[:1])}{name[1:]}": _cased(each, first)
                for name, each in value.items() if each is not None}  # fmt: skip
    return [_cased(each, first) for each in value] if isinstance(value, list) else value


def _encoded(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
