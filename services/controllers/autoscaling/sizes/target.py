"""What an autoscaler scales, and when that alone decides."""

from collections.abc import Sequence
from dataclasses import dataclass

from pilothouse.services.machinery import conditions
from pilothouse.services.machinery.kinds import autoscaling
from pilothouse.services.machinery.kinds.autoscaling import HorizontalPodAutoscaler, Scale
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key

AT_ZERO = "ScaledToZero"
ABOVE = "Current number of replicas above Spec.MaxReplicas"
BELOW = "Current number of replicas below Spec.MinReplicas"


@dataclass(frozen=True, slots=True)
class Found:
    """The target's scale and pods; ``error`` says why there is none.

    ``selecting`` are the autoscalers whose targets select any of the pods, this one among them;
    ``unreadable`` is what is wrong with the selector of the scale.
    """

    scale: Scale | None
    pods: Sequence[Pod] = ()
    error: str = ""
    selecting: tuple[Key, ...] = ()
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """``replicas`` whatever the metrics say; without a reason ``why`` it is not scaled at all."""

    replicas: int
    why: str


@dataclass(frozen=True, slots=True)
class Unfit:
    """Pods that metrics cannot be asked for: in a condition's words, and in an event's."""

    reason: str
    event_reason: str
    message: str
    error: str


def bound(autoscaler: HorizontalPodAutoscaler, scale: Scale) -> Bound | None:
    """None where the metrics decide."""
    current, least = scale.spec.replicas, autoscaling.least(autoscaler)
    if current == 0:
        return None if _is_ours_at_zero(autoscaler, least) else Bound(0, "")
    if current > autoscaler.spec.max_replicas:
        return Bound(autoscaler.spec.max_replicas, ABOVE)
    if current < least:
        return Bound(least, BELOW)
    return None


def _is_ours_at_zero(autoscaler: HorizontalPodAutoscaler, least: int) -> bool:
    """Whether the autoscaler itself left no pod: what people set to none stays at rest."""
    if not conditions.is_true(autoscaler.status.conditions or (), AT_ZERO):
        return False
    return least != 0 or autoscaling.needs_no_pod(autoscaler)


def unfit(scale: Scale, found: Found) -> Unfit | None:
    """None where its pods are its alone."""
    selector = scale.status.selector
    if not selector:
        message = "the HPA target's scale is missing a selector"
        return Unfit("InvalidSelector", "SelectorRequired", message, "selector is required")
    if found.unreadable:
        text = (
            "couldn't convert selector into a corresponding internal selector object: "
            f"{found.unreadable}"
        )
        return Unfit("InvalidSelector", "InvalidSelector", text, text)
    if len(found.selecting) > 1:
        names = " ".join(str(key) for key in sorted(found.selecting))
        text = f"pods by selector {selector} are controlled by multiple HPAs: [{names}]"
        return Unfit("AmbiguousSelector", "AmbiguousSelector", text, text)
    return None


def is_measured(autoscaler: HorizontalPodAutoscaler, scale: Scale, found: Found) -> bool:
    """Whether its metrics have to be read."""
    return bound(autoscaler, scale) is None and unfit(scale, found) is None
