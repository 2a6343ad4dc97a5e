"""How fast a target may grow and shrink: windows that steady, policies that limit, bounds.

What was recommended and done lately is the :class:`History`, a value as all else here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pilothouse.services.machinery.kinds.autoscaling import Behavior, Policy, Rules

DOUBLED = 2
GROWTH_MIN = 4
_HUNDRED = 100


@dataclass(frozen=True, slots=True)
class Moment:
    """Replicas (recommended, or by which there came to be more or fewer) at a time, seconds."""

    replicas: int
    at: float


@dataclass(frozen=True, slots=True)
class History:
    """Of one autoscaler, newest last, as far back as a window or a policy looks."""

    recommended: tuple[Moment, ...] = ()
    grown: tuple[Moment, ...] = ()
    shrunk: tuple[Moment, ...] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """``window_seconds`` steadies what shrinks where the autoscaler does not say how."""

    least: int
    most: int
    window_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Told:
    """What a condition shall say."""

    status: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Normal:
    """``replicas`` to have now; what to say of ``able`` (to scale) and of what ``limited`` it."""

    replicas: int
    able: Told
    limited: Told
    history: History


_READY = Told(True, "ReadyForNewScale", "recommended size matches current size")
_LOWER = (
    "recent recommendations were lower than current one, applying the lowest recent recommendation"
)
_HIGHER = (
    "recent recommendations were higher than current one, "
    "applying the highest recent recommendation"
)
_TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
_TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
_TOO_QUICK = (
    "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"
)  # fmt: skip
_TOO_SLOW = (
    "ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate"
)  # fmt: skip
_FINE = ("DesiredWithinRange", "the desired count is within the acceptable range")


def begun(history: History, current: int, now: float) -> History:
    """Before anything was recommended, what there is stands for it."""
    if history.recommended:
        return history
    return replace(history, recommended=(Moment(current, now),))


def normalize(
    history: History,
    current: int,
    wanted: int,
    bounds: Bounds,
    behavior: Behavior | None,
    now: float,
) -> Normal:
    """What is ``wanted`` by the metrics, steadied, within the rates and within the bounds."""
    up = _rules(behavior.scale_up if behavior else None, 0.0)
    down = _rules(behavior.scale_down if behavior else None, bounds.window_seconds)
    known = begun(history, current, now)
    if behavior is None:
        steady = max([wanted, *_since(known.recommended, now - bounds.window_seconds)])
        grows = False
    else:
        least = min([wanted, *_since(known.recommended, now - up.window)])
        most = max([wanted, *_since(known.recommended, now - down.window)])
        steady, grows = min(max(current, least), most), wanted >= current
    able = _READY
    if steady != wanted:
        able = Told(True, "ScaleUpStabilized", _LOWER)
        if not grows:
            able = Told(True, "ScaleDownStabilized", _HIGHER)
    lowest, highest = _limits(known, current, bounds, (up, down) if behavior else None, now)
    replicas, why = _within(steady, lowest, highest)
    limited = Told(replicas != steady, *why)
    return Normal(replicas, able, limited, _kept(known, Moment(wanted, now), bounds, up, down))


def scaled(
    history: History, before: int, after: int, behavior: Behavior | None, now: float
) -> History:
    """There are ``after`` replicas since ``now``."""
    if behavior is None or before == after:
        return history
    if after > before:
        moments = (*_live(history.grown, behavior, now), Moment(after - before, now))
        return replace(history, grown=moments)
    moments = (*_live(history.shrunk, behavior, now), Moment(before - after, now))
    return replace(history, shrunk=moments)


@dataclass(frozen=True, slots=True)
class _Direction:
    window: float
    select: str
    policies: Sequence[Policy]


@dataclass(frozen=True, slots=True)
class _Limit:
    replicas: int
    why: tuple[str, str]


def _rules(rules: Rules | None, window: float) -> _Direction:
    if rules is None:
        return _Direction(window, "Max", ())
    given = rules.stabilization_window_seconds
    return _Direction(
        window if given is None else given, rules.select_policy or "Max", rules.policies or ()
    )


def _limits(
    history: History,
    current: int,
    bounds: Bounds,
    directions: tuple[_Direction, _Direction] | None,
    now: float,
) -> tuple[_Limit, _Limit]:
    if directions is None:
        quick = max(DOUBLED * current, GROWTH_MIN)
        slow = 0
    else:
        up, down = directions
        quick = max(_most(history, current, up, now), current)
        slow = min(_fewest(history, current, down, now), current)
    lowest = _Limit(slow, _TOO_SLOW) if slow > bounds.least else _Limit(bounds.least, _TOO_FEW)
    highest = _Limit(quick, _TOO_QUICK) if quick < bounds.most else _Limit(bounds.most, _TOO_MANY)
    return lowest, highest


def _within(wanted: int, lowest: _Limit, highest: _Limit) -> tuple[int, tuple[str, str]]:
    if wanted < lowest.replicas:
        return lowest.replicas, lowest.why
    if wanted > highest.replicas:
        return highest.replicas, highest.why
    return wanted, _FINE


def _most(history: History, current: int, rules: _Direction, now: float) -> int:
    if rules.select == "Disabled" or not rules.policies:
        return current
    allowed = []
    for policy in rules.policies:
        start = _start(history, current, policy, now)
        if policy.type == "Pods":
            allowed.append(start + policy.value)
        else:
            allowed.append(math.ceil(start * (1 + policy.value / _HUNDRED)))
    return min(allowed) if rules.select == "Min" else max(allowed)


def _fewest(history: History, current: int, rules: _Direction, now: float) -> int:
    if rules.select == "Disabled" or not rules.policies:
        return current
    allowed = []
    for policy in rules.policies:
        start = _start(history, current, policy, now)
        if policy.type == "Pods":
            allowed.append(start - policy.value)
        else:
            allowed.append(int(start * (1 - policy.value / _HUNDRED)))
    return max(allowed) if rules.select == "Min" else min(allowed)


def _start(history: History, current: int, policy: Policy, now: float) -> int:
    """Replicas when the policy's period began."""
    after = now - policy.period_seconds
    return current - sum(_since(history.grown, after)) + sum(_since(history.shrunk, after))


def _since(moments: Sequence[Moment], after: float) -> list[int]:
    return [moment.replicas for moment in moments if moment.at > after]


def _live(moments: Sequence[Moment], behavior: Behavior, now: float) -> list[Moment]:
    both = (behavior.scale_up, behavior.scale_down)
    policies = [policy for rules in both if rules is not None for policy in rules.policies or ()]
    longest = max((policy.period_seconds for policy in policies), default=0)
    return [moment for moment in moments if moment.at >= now - longest]


def _kept(
    history: History, moment: Moment, bounds: Bounds, up: _Direction, down: _Direction
) -> History:
    longest = max(up.window, down.window, bounds.window_seconds)
    recent = [known for known in history.recommended if known.at >= moment.at - longest]
    return replace(history, recommended=(*recent, moment))
