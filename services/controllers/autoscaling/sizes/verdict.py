"""What an autoscaler does and says: the plan as a value, and how its parts come together."""

from dataclasses import dataclass, field

from msgspec import structs

from pilothouse.services.controllers.autoscaling.sizes.rates import History, Told, scaled
from pilothouse.services.controllers.autoscaling.sizes.samples import Periods
from pilothouse.services.controllers.autoscaling.sizes.target import AT_ZERO
from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds import autoscaling
from pilothouse.services.machinery.kinds.autoscaling import (
    HorizontalPodAutoscaler,
    MetricStatus,
    Status,
)

ABLE, ACTIVE, LIMITED = "AbleToScale", "ScalingActive", "ScalingLimited"


@dataclass(frozen=True, slots=True)
class Settings:
    """As kube-controller-manager's flags of these names say; seconds."""

    sync_period: float = 15.0
    downscale_stabilization: float = 300.0
    tolerance: float = 0.1
    periods: Periods = field(default_factory=Periods)


@dataclass(frozen=True, slots=True)
class Note:
    """An event."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Past:
    """What was recommended and done, and when it is now."""

    history: History
    settings: Settings
    now: float


@dataclass(frozen=True, slots=True)
class Plan:
    """``replicas`` to set, None to leave them; ``history`` to remember."""

    status: Status
    replicas: int | None = None
    why: str = ""
    notes: tuple[Note, ...] = ()
    history: History = field(default_factory=History)


def warning(reason: str, message: str) -> Note:
    return Note("Warning", reason, message)


def say(status: Status, type_: str, told: Told, now: float) -> Status:
    """``status`` with this condition."""
    condition = Condition(
        type=type_, status=str(told.status), reason=told.reason, message=told.message
    )
    return structs.replace(
        status, conditions=conditions.replaced(status.conditions or (), condition, now)
    )


def counted(
    status: Status, current: int, metrics: tuple[MetricStatus, ...] | None = None
) -> Status:
    """Nothing new but how many there are, and what could be read."""
    return structs.replace(status, current_replicas=current, current_metrics=metrics or None)


def settle(autoscaler: HorizontalPodAutoscaler, current: int, draft: Plan, past: Past) -> Plan:
    """The plan that sets ``draft.replicas``, or leaves them where there are as many."""
    wanted = current if draft.replicas is None else draft.replicas
    generation = autoscaler.metadata.generation
    status = structs.replace(
        draft.status,
        current_replicas=current,
        desired_replicas=wanted,
        observed_generation=generation or draft.status.observed_generation,
    )
    if wanted == current:
        return Plan(status, notes=draft.notes, history=draft.history)
    text = f"the HPA controller was able to update the target scale to {wanted}"
    status = say(status, ABLE, Told(True, "SucceededRescale", text), past.now)
    status = say(status, AT_ZERO, _at_zero(autoscaler, wanted), past.now)
    status = structs.replace(status, last_scale_time=timestamps.render(past.now))
    note = Note("Normal", "SuccessfulRescale", f"New size: {wanted}; reason: {draft.why}")
    history = scaled(draft.history, current, wanted, autoscaler.spec.behavior, past.now)
    return Plan(status, wanted, draft.why, (*draft.notes, note), history)


def _at_zero(autoscaler: HorizontalPodAutoscaler, wanted: int) -> Told:
    """Whether it is the autoscaler that leaves no pod, and so the one to make pods again."""
    asked = autoscaling.least(autoscaler) == 0 and autoscaling.needs_no_pod(autoscaler)
    if wanted == 0 and asked:
        return Told(True, AT_ZERO, "the HPA controller scaled the workload to zero")
    text = "the HPA controller did not scale the workload to zero"
    return Told(False, "NotScaledToZero", text)


def refused(autoscaler: HorizontalPodAutoscaler, todo: Plan, error: str, past: Past) -> Plan:
    """What is left of ``todo`` where the target's scale could not be written."""
    before = autoscaler.status
    text = f"the HPA controller was unable to update the target scale: {error}"
    told = [item for item in todo.status.conditions or () if item.type != AT_ZERO]
    told += [item for item in before.conditions or () if item.type == AT_ZERO]
    status = structs.replace(
        before,
        conditions=tuple(told),
        current_replicas=todo.status.current_replicas,
        current_metrics=todo.status.current_metrics,
    )
    status = say(status, ABLE, Told(False, "FailedUpdateScale", text), past.now)
    note = warning(
        "FailedRescale", f"New size: {todo.replicas}; reason: {todo.why}; error: {error}"
    )
    return Plan(status, notes=(*todo.notes[:-1], note), history=past.history)
