"""Counters and histograms with labels."""

import pytest

from pilothouse.services.runtime import meters
from pilothouse.services.runtime.exposition import render
from pilothouse.services.runtime.meters import Counter, Gauge, Histogram


def test_a_counter():
    counter = Counter("asked_total", "Asked.", ("code", "verb"))
    counter.add("200", "get")
    counter.add("200", "get", by=2)
    assert 'asked_total{code="200",verb="get"} 3' in render([counter.family()]).decode()
    with pytest.raises(ValueError, match="asked_total"):
        counter.add("200")


def test_series_are_few(monkeypatch):
    monkeypatch.setattr(meters, "SERIES_MAX", 2)
    counter = Counter("asked_total", "Asked.", ("who",))
    for name in ("a", "b", "c", "d", "a"):
        counter.add(name)
    found = {labels[0][1]: value for _, labels, value, _ in counter.family().samples}
    assert found == {"a": 2, "b": 1, "other": 2}
    counter.keep("who", {"b"})
    assert [labels for _, labels, _, _ in counter.family().samples] == [(("who", "b"),)]


def test_a_histogram_and_a_gauge():
    histogram = Histogram("took_seconds", "Took.", bounds=(1, 2))
    for seconds in (0.5, 1.5, 9):
        histogram.observe(seconds)
    text = render([histogram.family()]).decode().splitlines()
    assert text[2:] == [
        'took_seconds_bucket{le="1"} 1',
        'took_seconds_bucket{le="2"} 2',
        'took_seconds_bucket{le="+Inf"} 3',
        "took_seconds_sum 11",
        "took_seconds_count 3",
    ]
    gauge = Gauge("open", "Open.", ("at",))
    gauge.add("x")
    gauge.add("x", by=-1.0)
    assert 'open{at="x"} 0' in render([gauge.family()]).decode()
