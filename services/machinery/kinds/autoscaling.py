"""Facts about HorizontalPodAutoscalers (autoscaling/v2) and the scales they set."""

from collections.abc import Iterable

from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Metadata, View

Amount = str | int | float


class Reference(View, frozen=True, kw_only=True):
    """An object by kind and name, in the autoscaler's namespace."""

    kind: str = ""
    name: str = ""
    api_version: str = ""


class Target(View, frozen=True, kw_only=True):
    """``type`` is Utilization, Value or AverageValue."""

    type: str = ""
    value: Amount | None = None
    average_value: Amount | None = None
    average_utilization: int | None = None


class Identifier(View, frozen=True, kw_only=True):
    """A metric by name, and of which series."""

    name: str = ""
    selector: LabelSelector | None = None


class ResourceSource(View, frozen=True, kw_only=True):
    """Of every container of the pods, or of the one named ``container``."""

    name: str = ""
    container: str = ""
    target: Target = Target()


class MetricSource(View, frozen=True, kw_only=True):
    """``described_object`` is of Object metrics only."""

    metric: Identifier = Identifier()
    target: Target = Target()
    described_object: Reference = Reference()


class Metric(View, frozen=True, kw_only=True):
    """``type`` says which of the others is there."""

    type: str = ""
    resource: ResourceSource | None = None
    container_resource: ResourceSource | None = None
    pods: MetricSource | None = None
    object: MetricSource | None = None
    external: MetricSource | None = None


class Policy(View, frozen=True, kw_only=True):
    """So many pods, or so many percent of them, a period."""

    type: str = "Pods"
    value: int = 0
    period_seconds: int = 15


class Rules(View, frozen=True, kw_only=True):
    """For one direction."""

    stabilization_window_seconds: int | None = None
    select_policy: str | None = None
    policies: tuple[Policy, ...] | None = None
    tolerance: Amount | None = None


class Behavior(View, frozen=True, kw_only=True):
    scale_up: Rules | None = None
    scale_down: Rules | None = None


class Spec(View, frozen=True, kw_only=True):
    scale_target_ref: Reference = Reference()
    min_replicas: int | None = None
    max_replicas: int = 0
    metrics: tuple[Metric, ...] | None = None
    behavior: Behavior | None = None


class Current(View, frozen=True, kw_only=True):
    """What a metric was last."""

    value: Amount | None = None
    average_value: Amount | None = None
    average_utilization: int | None = None


class ResourceStatus(View, frozen=True, kw_only=True):
    name: str = ""
    container: str = ""
    current: Current = Current()


class MetricSourceStatus(View, frozen=True, kw_only=True):
    metric: Identifier = Identifier()
    current: Current = Current()
    described_object: Reference | None = None


class MetricStatus(View, frozen=True, kw_only=True):
    """As :class:`Metric`, with what was found."""

    type: str = ""
    resource: ResourceStatus | None = None
    container_resource: ResourceStatus | None = None
    pods: MetricSourceStatus | None = None
    object: MetricSourceStatus | None = None
    external: MetricSourceStatus | None = None


class Status(View, frozen=True, kw_only=True):
    observed_generation: int | None = None
    last_scale_time: str | None = None
    current_replicas: int = 0
    desired_replicas: int = 0
    current_metrics: tuple[MetricStatus, ...] | None = None
    conditions: tuple[Condition, ...] | None = None


class HorizontalPodAutoscaler(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: Spec = Spec()
    status: Status = Status()


class ScaleSpec(View, frozen=True, kw_only=True):
    replicas: int = 0


class ScaleStatus(View, frozen=True, kw_only=True):
    replicas: int = 0
    selector: str = ""


class Scale(View, frozen=True, kw_only=True):
    """The replicas of any kind that has some; ``selector`` finds its pods."""

    metadata: Metadata = Metadata()
    spec: ScaleSpec = ScaleSpec()
    status: ScaleStatus = ScaleStatus()


def least(autoscaler: HorizontalPodAutoscaler) -> int:
    """The fewest replicas it sets."""
    given = autoscaler.spec.min_replicas
    return 1 if given is None else given


def needs_no_pod(autoscaler: HorizontalPodAutoscaler) -> bool:
    """Whether one of its metrics is there where no pod is."""
    return any(metric.type in {"Object", "External"} for metric in autoscaler.spec.metrics or ())


def render_selector(selector: LabelSelector | None) -> str:
    """As a query takes it; empty for all."""
    if selector is None:
        return ""
    parts = [f"{name}={value}" for name, value in sorted(selector.match_labels.items())]
    words = {"In": "in", "NotIn": "notin"}
    for item in selector.match_expressions:
        if item.operator in words:
            parts.append(f"{item.key} {words[item.operator]} {_listed(item.values)}")
        else:
            parts.append(item.key if item.operator == "Exists" else f"!{item.key}")
    return ",".join(parts)


def _listed(values: Iterable[str]) -> str:
    return f"({','.join(sorted(values))})"
