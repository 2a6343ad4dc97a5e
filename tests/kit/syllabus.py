"""The lines of the conformance syllabus, and which test stands for which of them.

A test says it with the first thing above it::

    @line("apimachinery/watch.go", "add/update/delete notifications")
    def test_each_watcher_is_told_what_it_selected(...): ...

``tests/conformance/syllabus.txt`` names the lines: a head ``<area> <file>``, then names, indented.
"""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest

TEXT = Path(__file__).parents[1] / "conformance" / "syllabus.txt"


@dataclass(frozen=True)
class Line:
    """One behaviour; ``file`` is the upstream test file it is known by."""

    area: str
    file: str
    name: str


@lru_cache(1)
def syllabus() -> dict[tuple[str, str], Line]:
    """Every line by file and name."""
    lines, area, file = {}, "", ""
    for text in TEXT.read_text().splitlines():
        if text.startswith("  "):
            lines[(file, text.strip())] = Line(area, file, text.strip())
        else:
            area, file = text.split()
    return lines


def line(file: str, name: str) -> pytest.MarkDecorator:
    """Mark a test as standing for that line; KeyError when there is no such line."""
    return pytest.mark.conformance(syllabus()[(file, name)])


def summary(outcomes: dict[Line, set[str]]) -> list[str]:
    """How many lines pass, an area a row, then those that fail; what was skipped has no test."""
    lines = syllabus().values()
    outcomes = {one: seen for one, seen in outcomes.items() if seen != {"skipped"}}
    total = Counter(one.area for one in lines)
    tried = Counter(one.area for one in outcomes)
    passed = Counter(one.area for one, seen in outcomes.items() if seen == {"passed"})
    rows = [
        f"{area:<24} {passed[area]:>3} pass  {tried[area] - passed[area]:>3} fail"
        f"  {total[area] - tried[area]:>3} without a test  of {total[area]:>3}"
        for area in total
    ]
    rows.append(
        f"{'all':<24} {passed.total():>3} pass  {tried.total() - passed.total():>3} fail"
        f"  {total.total() - tried.total():>3} without a test  of {total.total():>3}"
    )
    rows += [
        f"FAILS  {one.file}: {one.name}"
        for one, seen in sorted(outcomes.items(), key=str)
        if seen != {"passed"}
    ]
    return rows
