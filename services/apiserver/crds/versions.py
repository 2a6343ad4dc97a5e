"""The order of API versions: v2 before v1, v1 before v2beta1, that before v1alpha1, others last."""

import re
from collections.abc import Iterable

_FORM = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?", re.ASCII)
_STAGES = {"alpha": 1, "beta": 2, None: 3}


def rank(version: str) -> tuple[int, int, int]:
    """Grows with preference; names that are no versions are all the lowest."""
    match = _FORM.fullmatch(version)
    if match is None:
        return (0, 0, 0)
    return (_STAGES[match[2]], int(match[1]), int(match[3] or 0))


def ordered(versions: Iterable[str]) -> list[str]:
    """The most preferred first; those that are no versions by name."""
    return sorted(sorted(versions), key=rank, reverse=True)
