"""Who of several candidates leads, by one Lease: what to do about it, as a value.

A Lease is over when nobody has been *seen* to change it for as long as it lasts, by the clock of
the one who looks: the times written in it are for people, so clocks that differ do no harm.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

JITTER = 1.2
"""A standby looks again after one to ``1 + JITTER`` retry periods, as client-go does."""
RELEASED_SECONDS = 1
RETRY_FIRST_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds; a leader that has not renewed for ``renew_seconds`` stops; others wait longer."""

    lease_seconds: float = 15.0
    renew_seconds: float = 10.0
    retry_seconds: float = 2.0

    def __post_init__(self) -> None:
        """ValueError where two could lead at once, or one could never renew in time."""
        if self.lease_seconds <= self.renew_seconds:
            raise ValueError("leaseDuration must be greater than renewDeadline")
        if self.renew_seconds <= JITTER * self.retry_seconds:
            raise ValueError("renewDeadline must be greater than retryPeriod*JitterFactor")
        if self.lease_seconds < 1 or self.retry_seconds <= 0:
            raise ValueError("leaseDuration must be at least 1s, retryPeriod greater than zero")


@dataclass(frozen=True, slots=True)
class Candidate:
    """``predecessor`` is the identity of one that is known to be dead; empty if none is."""

    identity: str
    timing: Timing = Timing()
    predecessor: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """What the Lease says; ``acquired`` and ``renewed`` are wall times, seconds."""

    holder: str = ""
    duration_seconds: int = 0
    acquired: float = 0.0
    renewed: float = 0.0
    transitions: int = 0


@dataclass(frozen=True, slots=True)
class Observed:
    """A record, and the monotonic second at which it was first seen to be so."""

    record: Record
    revision: str
    since: float

    def seen(self, record: Record, revision: str, now: float) -> "Observed":
        """Looked at again."""
        since = self.since if record == self.record else now
        return Observed(record, revision, since)


@dataclass(frozen=True, slots=True)
class Create:
    """There is no Lease yet."""

    record: Record


@dataclass(frozen=True, slots=True)
class Update:
    """Write this over the very revision that was seen."""

    record: Record
    revision: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Another leads."""


Act: TypeAlias = Create | Update | Wait


def holds(candidate: Candidate, observed: Observed | None) -> bool:
    """Whether it is this candidate that the Lease names."""
    return observed is not None and observed.record.holder == candidate.identity


def is_free(candidate: Candidate, observed: Observed | None) -> bool:
    """Whether nobody who may be alive has it, or this candidate itself."""
    free = {"", candidate.predecessor, candidate.identity}
    return observed is None or observed.record.holder in free


def left_seconds(observed: Observed | None, now: float) -> float:
    """Until the Lease lapses, unless it is seen to change before."""
    return 0.0 if observed is None else observed.since + observed.record.duration_seconds - now


def decide(candidate: Candidate, observed: Observed | None, now: float, wall: float) -> Act:
    """What the candidate does about the Lease at ``now`` (monotonic) and ``wall``."""
    wanted = Record(candidate.identity, round(candidate.timing.lease_seconds), wall, wall)
    if observed is None:
        return Create(wanted)
    record = observed.record
    if record.holder == candidate.identity:
        renewed = replace(wanted, acquired=record.acquired, transitions=record.transitions)
        return Update(renewed, observed.revision)
    if not is_free(candidate, observed) and left_seconds(observed, now) > 0:
        return Wait()
    return Update(replace(wanted, transitions=record.transitions + 1), observed.revision)


def release(observed: Observed, wall: float) -> Update:
    """The leader goes: the next need not wait."""
    gone = Record("", RELEASED_SECONDS, wall, wall, observed.record.transitions)
    return Update(gone, observed.revision)


def pause_seconds(candidate: Candidate, failures: int, chance: float) -> float:
    """Until a standby looks again; soon after a call that failed, for the API may just start.

    ``failures`` in a row; ``chance`` from [0, 1) keeps candidates from moving in step.
    """
    retry = candidate.timing.retry_seconds
    if failures:
        return min(RETRY_FIRST_SECONDS * 2.0 ** min(failures - 1, 16), retry)
    return retry * (1 + JITTER * chance)
