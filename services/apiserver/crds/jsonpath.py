"""The JSON paths of printer columns: ``.spec.items[0].name``, ``.status.conditions[?(@.type=="Ready")]``."""  # noqa: E501 - one sentence

import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

Find = Callable[[Any], list[Any]]

_STEP = re.compile(
    r"(?P<deep>\.(?=\.))"
    r"|\.(?P<field>(?:\\.|[^.\[\\])+)"
    r"|\[(?P<quote>['\"])(?P<key>.*?)(?P=quote)\]"
    r"|\[(?P<index>-?\d+)\]"
    r"|\[(?P<start>-?\d*):(?P<stop>-?\d*)(?::(?P<stride>\d*))?\]"
    r"|\[(?P<every>\*)\]|\.(?P<star>\*)"
    r"|\[\?\(@(?P<left>[^=!<>\s]*)\s*(?:(?P<sign>==|!=|<=|>=|<|>)\s*(?P<right>[^)]*?))?\s*\)\]"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda left, right: bool(left == right),
    "!=": lambda left, right: bool(left != right),
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
    ">": lambda left, right: bool(left > right),
    ">=": lambda left, right: bool(left >= right),
}


class BadPath(ValueError):
    """The text is no path that is understood."""


@lru_cache(maxsize=1024)
def compile_path(path: str) -> Find:
    """Finds all values at a path; what is missing gives none. BadPath where it is no path."""
    steps: list[Find] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            if path == ".":
                break
            raise BadPath(f"unrecognized character in action: {path[position:]!r}")
        steps.append(_step(match))
        position = match.end()

    def find(document: Any) -> list[Any]:
        found = [document]
        for step in steps:
            found = [below for value in found for below in step(value)]
        return found

    return find


def _step(match: re.Match[str]) -> Find:
    if match["deep"]:
        return _below
    if match["field"] == "*" or match["every"] or match["star"]:
        return _every
    if match["field"] is not None or match["key"] is not None:
        name = match["key"] if match["field"] is None else re.sub(r"\\(.)", r"\1", match["field"])
        return lambda value: [value[name]] if isinstance(value, dict) and name in value else []
    if match["index"] is not None:
        index = int(match["index"])
        return lambda value: _at(value, index)
    if match["start"] is not None:
        start, stop, stride = (_number(match[name]) for name in ("start", "stop", "stride"))
        part = slice(start, stop, stride or None)
        return lambda value: value[part] if isinstance(value, list) else []
    return _filter(match["left"], match["sign"], match["right"])


def _number(text: str | None) -> int | None:
    return int(text) if text and text != "-" else None


def _below(value: Any) -> list[Any]:
    """The value and all that is in it, from the top down."""
    found = [value]
    for item in _every(value):
        found += _below(item)
    return found


def _every(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _at(value: Any, index: int) -> list[Any]:
    return [value[index]] if isinstance(value, list) and -len(value) <= index < len(value) else []


def _filter(left: str, sign: str | None, right: str | None) -> Find:
    inner = compile_path(left) if left else _itself
    wanted = _literal(right or "")
    compare = _COMPARE[sign] if sign else None

    def matches(item: Any) -> bool:
        found = inner(item)
        if compare is None or not found:
            return bool(found)
        try:
            return compare(found[0], wanted)
        except TypeError:
            return False

    return lambda value: [item for item in _items(value) if matches(item)]


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else ()


def _itself(value: Any) -> list[Any]:
    return [value]


def _literal(text: str) -> Any:
    if text[:1] in ("'", '"'):
        return text[1:-1]
    try:
        return json.loads(text)
    except ValueError:
        return text
