"""How long the steps of admission take, under the names that the real server's plugins have."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TypeAlias

from pilothouse.services.apiserver.admission.request import Admission

BOUNDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
_QUICK = BOUNDS[0]
Step: TypeAlias = Callable[[Admission], None]
# Plugin (empty: all of them together), operation, admit or validate, and whether it was refused.
Which: TypeAlias = tuple[str, str, str, bool]


class Took:
    """A histogram of seconds."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


class Measures:
    """Runs steps and times them; without a clock they take no time."""

    def __init__(self) -> None:
        self.now: Callable[[], float] = float
        self.took: dict[Which, Took] = {}
        self._series: dict[tuple[int, str, str], list[Took]] = {}

    def run(self, steps: Sequence[tuple[str, Step]], request: Admission, phase: str) -> None:
        """Every step in turn, until one refuses. ``steps`` are the same object at every call."""
        if not steps:
            return
        operation, now = "CREATE" if request.old is None else "UPDATE", self.now
        series = self._series.get((id(steps), operation, phase))
        if series is None:
            names = [name for name, _ in steps]
            series = [self._of((name, operation, phase, False)) for name in ("", *names)]
            self._series[id(steps), operation, phase] = series
        began = last = now()
        place = 1
        try:
            for _, step in steps:
                step(request)
                ended = now()
                took, seconds, last = series[place], ended - last, ended
                place += 1
                if seconds > _QUICK:
                    took.add(seconds)
                    continue
                # As nearly all: not even a call is spent on it.
                took.counts[0] += 1
                took.seconds += seconds
        except Exception:
            ended = now()
            self._of((steps[place - 1][0], operation, phase, True)).add(ended - last)
            self._of(("", operation, phase, True)).add(ended - began)
            raise
        series[0].add(last - began)

    def _of(self, which: Which) -> Took:
        return self.took.setdefault(which, Took())


MEASURES = Measures()
"""Of this process."""
