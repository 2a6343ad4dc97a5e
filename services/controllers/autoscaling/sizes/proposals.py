"""What each metric of an autoscaler proposes, and what all of them together do.

Reasons and messages are upstream's: people and dashboards know them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pilothouse.services.controllers.autoscaling.sizes.samples import (
    Asked,
    Measured,
    Periods,
    Samples,
    Tolerances,
    Unanswered,
    by_average,
    by_utilization,
    ceiling,
    ready_pods,
)
from pilothouse.services.machinery import quantity
from pilothouse.services.machinery.kinds import autoscaling
from pilothouse.services.machinery.kinds.autoscaling import (
    Amount,
    Current,
    Metric,
    MetricSource,
    MetricSourceStatus,
    MetricStatus,
    ResourceSource,
    ResourceStatus,
)
from pilothouse.services.machinery.kinds.pods import Pod

_MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Unread:
    """A metric could not be read."""

    error: str


@dataclass(frozen=True, slots=True)
class Total:
    """An Object or External metric: the sum of its series, in thousandths."""

    milli: int


Reading = Samples | Total | Unread


@dataclass(frozen=True, slots=True)
class Target:
    """What is scaled: replicas that are wanted and that are, its pods; in which ``namespace``."""

    wanted: int
    found: int
    pods: Sequence[Pod]
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """``name`` of the metric, as an event tells it."""

    replicas: int
    name: str
    status: MetricStatus


@dataclass(frozen=True, slots=True)
class Failure:
    """``cause`` is what is said of the metric, ``error`` what is said of all with it."""

    reason: str
    cause: str
    error: str

    @property
    def message(self) -> str:
        """As the condition ScalingActive has it."""
        return f"the HPA was unable to compute the replica count: {self.cause}"


@dataclass(frozen=True, slots=True)
class Rates:
    """How one autoscaler takes its metrics."""

    tolerances: Tolerances
    periods: Periods
    now: float


def propose(metric: Metric, reading: Reading, target: Target, rates: Rates) -> Proposal | Failure:
    """What ``metric`` asks for, read as ``reading``."""
    if metric.type == "Resource" and metric.resource is not None:
        return _resource(metric.resource, reading, target, rates)
    if metric.type == "ContainerResource" and metric.container_resource is not None:
        return _resource(metric.container_resource, reading, target, rates)
    if metric.type == "Pods" and metric.pods is not None:
        return _pods(metric.pods, reading, target, rates)
    if metric.type == "Object" and metric.object is not None:
        return _object(metric.object, reading, target, rates)
    if metric.type == "External" and metric.external is not None:
        return _external(metric.external, reading, target, rates)
    error = f'unknown metric source type "{metric.type}"'
    return Failure("InvalidMetricSourceType", error, error)


def _resource(
    source: ResourceSource, reading: Reading, target: Target, rates: Rates
) -> Proposal | Failure:
    kind = "ContainerResource" if source.container else "Resource"
    wanted = source.target
    name = f"{source.name} resource"
    try:
        samples = _samples(reading, f"unable to get metrics for resource {source.name}")
        measured = Measured(target.pods, samples, source.name, rates.now, rates.periods)
        if wanted.average_value is not None:
            asked = by_average(
                measured, target.wanted, quantity.milli(wanted.average_value), rates.tolerances
            )
        elif wanted.average_utilization is not None:
            asked = by_utilization(
                measured, target.wanted, wanted.average_utilization, rates.tolerances,
                source.container,
            )  # fmt: skip
            of = "container resource" if source.container else "resource"
            name = f"{source.name} {of} utilization (percentage of request)"
        else:
            asked = _untargeted()
    except Unanswered as error:
        cause = f"{_failed(wanted, source.name)}{error}"
        what = f"{source.container} container" if source.container else f"{source.name} resource"
        full = f"failed to get {what} metric value: {cause}"
        return Failure(f"FailedGet{kind}Metric", cause, full)
    average = _amount(asked.average_milli, binary=source.name == _MEMORY)
    current = Current(average_value=average, average_utilization=asked.percent)
    status = ResourceStatus(name=source.name, container=source.container, current=current)
    if source.container:
        return Proposal(asked.replicas, name, MetricStatus(type=kind, container_resource=status))
    return Proposal(asked.replicas, name, MetricStatus(type=kind, resource=status))


def _failed(wanted: autoscaling.Target, resource: str) -> str:
    """How a sentence about what could not be had begins."""
    if wanted.average_value is not None:
        return f"failed to get {resource} usage: "
    return f"failed to get {resource} utilization: " if wanted.average_utilization else ""


def _pods(
    source: MetricSource, reading: Reading, target: Target, rates: Rates
) -> Proposal | Failure:
    name = source.metric.name
    try:
        samples = _samples(reading, f"unable to get metric {name}")
        measured = Measured(target.pods, samples, "", rates.now, rates.periods)
        asked: Asked = by_average(
            measured, target.wanted, _milli(source.target.average_value), rates.tolerances
        )
    except Unanswered as error:
        return Failure(
            "FailedGetPodsMetric", str(error), f"failed to get pods metric value: {error}"
        )
    current = Current(average_value=_amount(asked.average_milli))
    told = MetricSourceStatus(metric=source.metric, current=current)
    return Proposal(asked.replicas, f"pods metric {name}", MetricStatus(type="Pods", pods=told))


def _object(
    source: MetricSource, reading: Reading, target: Target, rates: Rates
) -> Proposal | Failure:
    name, about = source.metric.name, source.described_object
    if isinstance(reading, Unread):
        error = (
            f"unable to get metric {name}: {reading.error} on "
            f"{about.kind} {target.namespace}/{about.name}"
        )
        full = f"failed to get object metric value: {error}"
        return Failure("FailedGetObjectMetric", error, full)
    try:
        replicas, current = _of_total(source, _total(reading), target, rates)
    except Unanswered as error:
        return Failure(
            "FailedGetObjectMetric", str(error), f"failed to get object metric value: {error}"
        )
    told = MetricSourceStatus(metric=source.metric, current=current, described_object=about)
    words = f"{about.kind} metric {name}"
    if source.target.type == "AverageValue":
        words = f"external metric {name}({_selector(source)})"
    return Proposal(replicas, words, MetricStatus(type="Object", object=told))


def _external(
    source: MetricSource, reading: Reading, target: Target, rates: Rates
) -> Proposal | Failure:
    name = source.metric.name
    try:
        words = f"unable to get external metric {target.namespace}/{name}/{_selector(source)}"
        replicas, current = _of_total(source, _total(reading, words), target, rates)
    except Unanswered as error:
        cause = str(error)
        what = f"{name} external metric"
        inner = f"external metric {name}" if source.target.average_value is None else what
        full = f"failed to get {what} value: failed to get {inner}: {cause}"
        return Failure("FailedGetExternalMetric", cause, full)
    told = MetricSourceStatus(metric=source.metric, current=current)
    words = f"external metric {name}({_selector(source)})"
    return Proposal(replicas, words, MetricStatus(type="External", external=told))


def _of_total(
    source: MetricSource, total: int, target: Target, rates: Rates
) -> tuple[int, Current]:
    """For an amount that all replicas share: each its part, or the whole as one number."""
    wanted = source.target
    if wanted.average_value is not None and (wanted.type == "AverageValue" or wanted.value is None):
        each = _milli(wanted.average_value)
        replicas = target.found
        if replicas == 0 or not rates.tolerances.allows(total / (each * replicas)):
            replicas = ceiling(total / each)
        mean = ceiling(total / target.found) if target.found else total
        return replicas, Current(average_value=_amount(mean))
    if wanted.value is None:
        raise Unanswered(
            "invalid metric source: neither a value target nor an average value target was set"
        )
    ratio = total / _milli(wanted.value)
    current = Current(value=_amount(total))
    if target.wanted == 0:
        return ceiling(ratio), current
    if rates.tolerances.allows(ratio):
        return target.wanted, current
    try:
        ready = ready_pods(target.pods)
    except Unanswered as error:
        raise Unanswered(f"unable to calculate ready pods: {error}") from error
    return ceiling(ratio * ready), current


def _samples(reading: Reading, words: str) -> Samples:
    if isinstance(reading, Unread):
        raise Unanswered(f"{words}: {reading.error}")
    if not isinstance(reading, Mapping):
        raise Unanswered(f"{words}: it is not told by pods")
    return reading


def _untargeted() -> Asked:
    raise Unanswered(
        "invalid resource metric source: neither an average utilization target nor an average "
        "value (usage) target was set"
    )


def _total(reading: Reading, words: str = "") -> int:
    if isinstance(reading, Unread):
        raise Unanswered(f"{words}: {reading.error}")
    if not isinstance(reading, Total):
        raise Unanswered("it is not told as one amount")
    return reading.milli


def _milli(amount: Amount | None) -> int:
    if amount is None:
        raise Unanswered("invalid metric source: no target was set")
    return quantity.milli(amount)


def _amount(milli: int, *, binary: bool = False) -> str:
    return quantity.render(Decimal(milli) / 1000, binary=binary)


def _selector(source: MetricSource) -> str:
    """As Go prints it."""
    selector = source.metric.selector
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted(selector.match_labels.items()))
    listed = "".join(
        f"LabelSelectorRequirement{{Key:{item.key},Operator:{item.operator},"
        f"Values:[{' '.join(item.values)}],}},"
        for item in selector.match_expressions
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{listed}}},}}"
    )


def tolerances_of(behavior: autoscaling.Behavior | None, default: float) -> Tolerances:
    """Each direction its own, where the autoscaler says one."""

    def of(rules: autoscaling.Rules | None) -> float:
        if rules is None or rules.tolerance is None:
            return default
        return float(quantity.parse(rules.tolerance))

    if behavior is None:
        return Tolerances(default, default)
    return Tolerances(of(behavior.scale_up), of(behavior.scale_down))
