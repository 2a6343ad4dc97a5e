"""The elements of a field's path, as the keys of FieldsV1 write them.

``f:name`` is a field of an object, ``k:{"name":"x"}`` an element of a list by its keys,
``v:"x"`` one by its value, ``i:0`` one by its place.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

SELF = "."
"""Not an element: says in a tree that the node itself belongs to the set."""

_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode
_REMEMBERED_LENGTH_MAX = 64
_RANKS = {"f": 0, "k": 1, "v": 2, "i": 3}
_TYPES: tuple[type | tuple[type, ...], ...] = ((int, float), str, bool)


class Malformed(ValueError):
    """The text is no element of a path."""


def by_keys(keys: Mapping[str, Any]) -> str:
    """The element of a list whose key fields are these."""
    return "k:" + _text(keys)


def by_key(name: str, value: Any) -> str:
    """The same for a list with one key."""
    if value.__class__ is str and len(value) <= _REMEMBERED_LENGTH_MAX:
        return _by_key(name, value)
    return f'k:{{"{name}":{_text(value)}}}'


@lru_cache(maxsize=1024)
def _by_key(name: str, value: str) -> str:
    return f'k:{{"{name}":{_text(value)}}}'


def by_value(value: Any) -> str:
    """The element of a set."""
    return "v:" + _text(value)


def _text(value: Any) -> str:
    text = _encode(value).decode()
    if "<" in text or ">" in text or "&" in text:
        # Go's encoder writes these three so.
        text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return text


def canonical(element: str) -> str | None:
    """An element in its one spelling; None for a sort that a later version may know.

    Raises:
        Malformed: it is none.
    """
    sort, content = element[:2], element[2:]
    if len(sort) < len("f:") or sort[1] != ":":
        raise Malformed(f"missing colon: {element}")
    if sort == "f:":
        return element
    if sort[0] not in _RANKS:
        return None
    value = _content(content)
    if sort == "k:":
        if not isinstance(value, dict):
            raise Malformed(f"a key must be an object: {element}")
        return by_keys(value)
    if sort == "i:":
        if type(value) is not int:
            raise Malformed(f"an index must be a number: {element}")
        return f"i:{value}"
    return by_value(value)


def _content(text: str) -> Any:
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise Malformed(str(error)) from None


def show(path: Iterable[str]) -> str:
    """``.spec.containers[name="x"].image``, as messages write a path."""
    return "".join(map(_shown, path))


def _shown(element: str) -> str:
    sort, content = element[0], element[2:]
    if sort == "f":
        return f".{content}"
    if sort == "i":
        return f"[{content}]"
    value = _content(content)
    if sort == "v":
        return f"[={_encode(value).decode()}]"
    told = (f"{name}={_encode(value[name]).decode()}" for name in sorted(value))
    return f"[{','.join(told)}]"


def order(element: str) -> Any:
    """What elements of one level are sorted by: fields, keys, values, places."""
    sort, content = element[0], element[2:]
    if sort == "f":
        return (0, content)
    value = _content(content)
    if sort == "k":
        return (1, [(name, _rank(value[name])) for name in sorted(value)])
    return (_RANKS[sort], _rank(value))


def _rank(value: Any) -> Any:
    """Numbers before texts before booleans before all else."""
    if isinstance(value, bool):
        return (2, value)
    if isinstance(value, int | float):
        return (0, value)
    return (1, value) if isinstance(value, str) else (3, _encode(value))
