"""Regular expressions with RE2's syntax and its linear time."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

from pilothouse.services.machinery.cel.errors import EvaluationError

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:
    """The compiled pattern. Raises ValueError with Go's wording for a bad one."""
    try:
        return re2.compile(pattern, options=_OPTIONS)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        reason = reason.decode() if isinstance(reason, bytes) else str(reason)
        what, _, where = reason.partition(": ")
        raise ValueError(f"error parsing regexp: {what}: `{where}`") from None


def matches(text: str, pattern: str) -> bool:
    """Whether the pattern occurs anywhere in the text."""
    try:
        return compiled(pattern).search(text) is not None
    except ValueError as error:
        raise EvaluationError(str(error)) from None
