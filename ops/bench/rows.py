"""One line of a benchmark's table."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of ours beside Kubernetes' own (``theirs``) and our ``goal``, in ``unit``."""

    name: str
    unit: str
    ours: float
    theirs: float | None = None
    goal: float | None = None
    note: str = ""
