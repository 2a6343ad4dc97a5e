"""JSON merge patch (RFC 7386): maps merge, null removes, all else replaces."""

from typing import Any


def merge(target: Any, patch: Any) -> Any:
    """``target`` with ``patch`` merged into it; parts that are not touched are shared."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result
