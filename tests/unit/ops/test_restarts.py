"""How long a process that ended waits until it starts again."""

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.ops.restarts import DELAY_SECONDS_MAX, STABLE_SECONDS, next_delay


def test_first_crash_waits_the_first_delay() -> None:
    assert next_delay(1.5, 0.0, 0.2) == 1.5


def test_repeated_crashes_wait_longer_up_to_the_maximum() -> None:
    delays, delay = [], 0.0
    for _ in range(8):
        delay = next_delay(1.5, delay, 0.2)
        delays.append(delay)
    assert delays == [1.5, 3.0, 6.0, 12.0, 24.0, 30.0, 30.0, 30.0]


def test_a_stable_run_forgets_the_past() -> None:
    assert next_delay(1.5, 30.0, STABLE_SECONDS) == 1.5


@given(
    first=st.floats(0.1, DELAY_SECONDS_MAX),
    previous=st.floats(0, 1000),
    ran=st.floats(0, 1e6),
)
def test_the_delay_is_never_short_of_the_first_nor_over_the_maximum(
    first: float, previous: float, ran: float
) -> None:
    delay = next_delay(first, max(previous, first) if previous else 0.0, ran)
    assert first <= delay <= DELAY_SECONDS_MAX
