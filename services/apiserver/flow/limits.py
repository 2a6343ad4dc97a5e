"""How many seats each level has, of all there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from pilothouse.services.apiserver.flow.schemas import Limited, PriorityLevel

SHARES = 30
# A wide request takes at most this part of its level, and never more than so many seats.
WIDTH_FRACTION_MAX = 0.15
WIDTH_MAX = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """Seats: its own, those that are never lent, the most it may have, and a request's most."""

    nominal: int
    lower: int
    upper: int
    width: int = 1

    @property
    def lendable(self) -> int:
        return self.nominal - self.lower


def share_out(levels: Sequence[PriorityLevel], seats: int) -> Mapping[str, Limits]:
    """The limits of each level, by name, where the server has ``seats`` in all."""
    shares = {level.metadata.name: _shares(level) for level in levels}
    total = sum(shares.values()) or 1
    return {
        level.metadata.name: _limits(
            level, ceil(seats * shares[level.metadata.name] / total), seats
        )
        for level in levels
    }


def _shares(level: PriorityLevel) -> int:
    if level.spec.type == "Exempt":
        exempt = level.spec.exempt
        return (exempt.nominal_concurrency_shares if exempt is not None else 0) or 0
    limited = level.spec.limited or Limited()
    shares = limited.nominal_concurrency_shares
    return SHARES if shares is None else shares


def _limits(level: PriorityLevel, nominal: int, seats: int) -> Limits:
    limited = level.spec.exempt if level.spec.type == "Exempt" else level.spec.limited
    limited = limited or Limited()
    lendable = round(nominal * (limited.lendable_percent or 0) / 100)
    borrowing = limited.borrowing_limit_percent
    more = seats if borrowing is None else round(nominal * borrowing / 100)
    width = min(WIDTH_MAX, max(1, ceil(nominal * WIDTH_FRACTION_MAX)))
    return Limits(nominal, nominal - lendable, min(nominal + more, max(seats, nominal)), width)


def list_width(objects: int, limit: int, width_max: int) -> int:
    """The seats of a list over ``objects`` of which it wants ``limit`` (0: all)."""
    read = min(objects, limit) if limit > 0 else objects
    return max(1, min(width_max, ceil(read / OBJECTS_PER_SEAT)))


OBJECTS_PER_SEAT = 100
