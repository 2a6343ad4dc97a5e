"""How two versions of a spec differ, line by line, for messages that refuse the change."""

import json
from typing import Any

LINES_MAX = 60


def differences(before: Any, after: Any) -> str:
    """A unified difference of the two as indented JSON, without its heading."""
    import difflib  # noqa: PLC0415 - large, and few changes are refused

    lines = difflib.unified_diff(_lines(before), _lines(after), lineterm="", n=2)
    shown = list(lines)[3 : LINES_MAX + 3]
    return "\n".join(shown)


def _lines(value: Any) -> list[str]:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).splitlines()
