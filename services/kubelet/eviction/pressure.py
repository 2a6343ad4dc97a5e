"""What presses the node, since when, and what it calls for now. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pilothouse.services.kubelet.eviction.thresholds import (
    ALLOCATABLE,
    CONDITION,
    MEMORY,
    Signals,
    Threshold,
)


@dataclass(frozen=True, slots=True)
class Pressure:
    """What is remembered from look to look.

    ``since``: when each threshold was met first. ``seen``: when each condition was seen last.
    ``acting``: thresholds whose grace is over and that are not resolved yet.
    """

    since: Mapping[Threshold, float] = field(default_factory=dict)
    seen: Mapping[str, float] = field(default_factory=dict)
    acting: tuple[Threshold, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """``conditions`` hold now; ``reclaim``: for which threshold to act, if for any.

    ``again_at``: when a grace ends or a condition may go, in seconds since the epoch.
    """

    pressure: Pressure
    conditions: frozenset[str]
    reclaim: Threshold | None = None
    again_at: float | None = None


def plan(
    before: Pressure,
    thresholds: Iterable[Threshold],
    signals: Signals,
    now: float,
    transition_seconds: float,
) -> Plan:
    """From signals to what holds and what is to be done."""
    met = [item for item in thresholds if _is_met(item, signals, reclaiming=False)]
    met += [
        item
        for item in before.acting
        if item not in met and _is_met(item, signals, reclaiming=True)
    ]
    since = {item: before.since.get(item, now) for item in met}
    seen = dict(before.seen) | {CONDITION[item.signal]: now for item in met}
    seen = {name: at for name, at in seen.items() if now - at < transition_seconds or at == now}
    acting = tuple(item for item, at in since.items() if now - at >= item.grace_seconds)
    waits = [at + item.grace_seconds for item, at in since.items() if item not in acting]
    waits += [at + transition_seconds for name, at in seen.items() if at != now]
    first = min(acting, key=_urgency, default=None)
    again = min(waits, default=None)
    return Plan(Pressure(since, seen, acting), frozenset(seen), first, again)


def _urgency(threshold: Threshold) -> tuple[bool, str]:
    """Memory before all else."""
    return threshold.signal not in (MEMORY, ALLOCATABLE), threshold.signal


def _is_met(threshold: Threshold, signals: Signals, *, reclaiming: bool) -> bool:
    amount = signals.get(threshold.signal)
    return amount is not None and threshold.is_met(amount, reclaiming=reclaiming)
