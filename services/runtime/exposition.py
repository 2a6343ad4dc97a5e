"""Prometheus' text formats: the classic one and OpenMetrics. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

TEXT = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"

Sort = Literal["counter", "gauge", "histogram"]
Labels = tuple[tuple[str, str], ...]
_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@dataclass(slots=True)
class Family:
    """One metric: its samples are (suffix of the name, labels, value, time).

    The time is when it was measured, in seconds since the epoch; None: now.
    """

    name: str
    sort: Sort
    help: str
    samples: list[tuple[str, Labels, float, float | None]] = field(default_factory=list)

    def add(self, value: float, *labels: tuple[str, str], at: float | None = None) -> "Family":
        """One sample."""
        self.samples.append(("", labels, value, at))
        return self

    def observe(
        self, bounds: Sequence[float], counts: Sequence[int], total: float, labels: Labels
    ) -> None:
        """One histogram; ``counts`` are those of each bucket alone, the last over all bounds."""
        reached = 0
        for bound, count in zip(bounds, counts, strict=False):
            reached += count
            self.samples.append(("_bucket", (*labels, ("le", number(bound))), reached, None))
        reached += counts[-1]
        self.samples.append(("_bucket", (*labels, ("le", "+Inf")), reached, None))
        self.samples.append(("_sum", labels, total, None))
        self.samples.append(("_count", labels, reached, None))


def wants_open_metrics(accept: str) -> bool:
    """Whether a client asks for OpenMetrics before all else."""
    return accept.partition(",")[0].strip().startswith("application/openmetrics-text")


def render(families: Iterable[Family], *, open_metrics: bool = False) -> bytes:
    """All families that have samples, by name."""
    lines: list[str] = []
    for family in sorted(families, key=lambda each: each.name):
        if family.samples:
            lines += _lines(family, open_metrics=open_metrics)
    if open_metrics:
        lines.append("# EOF")
    return ("\n".join(lines) + "\n").encode()


def labels_of(values: Mapping[str, str]) -> Labels:
    """Labels in the order of their names, as scrapers show them."""
    return tuple(sorted(values.items()))


def number(value: float) -> str:
    """A value as Go prints it: whole numbers without a fraction."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))  # noqa: PLR2004 - where Go, too, turns to exponents


def _lines(family: Family, *, open_metrics: bool) -> Iterator[str]:
    head = family.name
    if open_metrics and family.sort == "counter":
        head = head.removesuffix("_total")
    yield f"# HELP {head} {family.help}"
    yield f"# TYPE {head} {family.sort}"
    suffix = "_total" if head != family.name else ""
    for part, labels, value, at in family.samples:
        told = ",".join(f'{name}="{text.translate(_ESCAPED)}"' for name, text in labels)
        braced = f"{{{told}}}" if told else ""
        when = "" if at is None else f" {_moment(at, open_metrics=open_metrics)}"
        yield f"{head}{suffix}{part}{braced} {number(value)}{when}"


def _moment(at: float, *, open_metrics: bool) -> str:
    """Milliseconds; OpenMetrics has seconds."""
    return f"{at:.3f}" if open_metrics else str(round(at * 1000))
