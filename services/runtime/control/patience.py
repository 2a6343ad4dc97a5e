"""How long something that failed is left where it is before the next is tried in its place.

What refuses one would refuse the next as quickly: the wait doubles with each failure, and starts
anew after a long quiet time.
"""

from collections.abc import Hashable
from dataclasses import dataclass

FIRST_SECONDS = 1.0
MAX_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class _Failure:
    at: float
    seconds: float


class Patience:
    """Failures by trial (what is tried) and place, as far as they still matter."""

    def __init__(self) -> None:
        self._failures: dict[Hashable, dict[str, _Failure]] = {}

    def held(self, trial: Hashable, now: float) -> dict[str, float]:
        """Seconds to wait yet, of each place where the next may not be tried now."""
        self._forget(now)
        left = {
            place: known.at + known.seconds - now
            for place, known in self._failures.get(trial, {}).items()
        }
        return {place: seconds for place, seconds in left.items() if seconds > 0}

    def failed(self, trial: Hashable, place: str, now: float) -> None:
        """What failed there is taken away."""
        failures = self._failures.setdefault(trial, {})
        known = failures.get(place)
        seconds = FIRST_SECONDS if known is None else min(known.seconds * 2, MAX_SECONDS)
        failures[place] = _Failure(now, seconds)

    def _forget(self, now: float) -> None:
        for trial, failures in list(self._failures.items()):
            for place, known in list(failures.items()):
                if now - known.at > 2 * MAX_SECONDS:
                    del failures[place]
            if not failures:
                del self._failures[trial]
