"""How long the supervisor waits before it starts a process again. Decides only."""

STABLE_SECONDS = 10.0
DELAY_SECONDS_MAX = 30.0


def next_delay(first_seconds: float, previous_seconds: float, ran_seconds: float) -> float:
    """The wait after a process that ran ``ran_seconds``.

    ``first_seconds`` after a stable run; else twice ``previous_seconds``, up to the maximum.
    """
    if ran_seconds >= STABLE_SECONDS or previous_seconds <= 0:
        return first_seconds
    return min(previous_seconds * 2, max(DELAY_SECONDS_MAX, first_seconds))
