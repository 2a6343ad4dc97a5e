"""Sets of completion indexes as a Job's status spells them: ``0-2,5,7``.

Kept as intervals, since a Job may have a million indexes and few gaps.
"""

from bisect import bisect_left
from collections.abc import Iterable

Intervals = tuple[tuple[int, int], ...]
"""First and last of each run, in order and apart from each other."""


def parse(text: str, completions: int) -> Intervals:
    """What of ``text`` lies below ``completions``; parts that are no numbers are passed over."""
    found: list[tuple[int, int]] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            continue
        start = int(first)
        end = min(int(last) if dash else start, completions - 1)
        if start <= end:
            found.append((start, end))
    return _joined(found)


def of(indexes: Iterable[int]) -> Intervals:
    return _joined([(index, index) for index in indexes])


def union(*sets: Intervals) -> Intervals:
    return _joined([interval for one in sets for interval in one])


def _joined(found: Iterable[tuple[int, int]]) -> Intervals:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(found):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def total(intervals: Intervals) -> int:
    return sum(last - first + 1 for first, last in intervals)


def contains(intervals: Intervals, index: int) -> bool:
    place = bisect_left(intervals, index, key=lambda interval: interval[1])
    return place < len(intervals) and intervals[place][0] <= index


def shared(one: Intervals, other: Intervals) -> int:
    """How many indexes are in both."""
    count, here, there = 0, 0, 0
    while here < len(one) and there < len(other):
        first = max(one[here][0], other[there][0])
        last = min(one[here][1], other[there][1])
        count += max(last - first + 1, 0)
        if one[here][1] < other[there][1]:
            here += 1
        else:
            there += 1
    return count


def absent(intervals: Intervals, completions: int, count: int) -> tuple[int, ...]:
    """The first ``count`` indexes below ``completions`` that are not in it."""
    found: list[int] = []
    start = 0
    for first, last in (*intervals, (completions, completions)):
        end = min(first, completions, start + count - len(found))
        found.extend(range(start, end))
        start = max(start, last + 1)
    return tuple(found)


def render(intervals: Intervals) -> str:
    """Two neighbours are a list and three a range, as upstream has it."""
    return ",".join(_run(first, last) for first, last in intervals)


def _run(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"
