"""How long a failed pod is left where it is before the next one is tried there.

A node that refuses a pod would refuse the next one as quickly: the wait doubles with each failure,
and starts anew after a long quiet time.
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
    """Failures by trial (what is tried) and node, as far as they still matter."""

    def __init__(self) -> None:
        self._failures: dict[Hashable, dict[str, _Failure]] = {}

    def held(self, trial: Hashable, now: float) -> dict[str, float]:
        """Seconds to wait yet, of each node where a failed pod may not go now."""
        self._forget(now)
        left = {
            node: known.at + known.seconds - now
            for node, known in self._failures.get(trial, {}).items()
        }
        return {node: seconds for node, seconds in left.items() if seconds > 0}

    def failed(self, trial: Hashable, node: str, now: float) -> None:
        """A failed pod was taken away."""
        failures = self._failures.setdefault(trial, {})
        known = failures.get(node)
        seconds = FIRST_SECONDS if known is None else min(known.seconds * 2, MAX_SECONDS)
        failures[node] = _Failure(now, seconds)

    def _forget(self, now: float) -> None:
        for trial, failures in list(self._failures.items()):
            for node, known in list(failures.items()):
                if now - known.at > 2 * MAX_SECONDS:
                    del failures[node]
            if not failures:
                del self._failures[trial]
