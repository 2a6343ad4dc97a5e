"""Values that JSON has no type for, and equality over all of them.

int is int, double is float, string is str, bytes is bytes, null is None, a list is a list and a
map is a dict; objects of a declared schema are `schema.ObjectValue`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import total_ordering
from typing import Any

from typing_extensions import override

from pilothouse.services.machinery.cel.errors import EvaluationError


class Uint(int):
    """An unsigned 64 bit integer."""

    __slots__ = ()

    @override
    def __repr__(self) -> str:
        return f"{int(self)}u"


class _Instant:
    __slots__ = ("nanos",)

    def __init__(self, nanos: int) -> None:
        self.nanos = nanos

    @override
    def __eq__(self, other: object) -> bool:
        return (
            type(other) is type(self) and isinstance(other, _Instant) and other.nanos == self.nanos
        )

    @override
    def __hash__(self) -> int:
        return hash((type(self), self.nanos))

    def __lt__(self, other: _Instant) -> bool:
        return self.nanos < other.nanos

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.nanos})"


@total_ordering
class Timestamp(_Instant):
    """A point in time: nanoseconds since 1970 in UTC, and the zone that it was written in."""

    __slots__ = ("offset",)

    def __init__(self, nanos: int, offset: int = 0) -> None:
        super().__init__(nanos)
        # Seconds east of UTC; only the text form shows it.
        self.offset = offset


@total_ordering
class Duration(_Instant):
    """A span of time in nanoseconds."""

    __slots__ = ()


class Optional:
    """A value or nothing; `Optional.NONE` is nothing."""

    __slots__ = ("present", "value")

    def __init__(self, value: object, present: bool = True) -> None:
        self.value = value
        self.present = present

    @override
    def __repr__(self) -> str:
        return f"optional({self.value!r})" if self.present else "optional.none()"


NONE = Optional(None, present=False)


class TypeValue:
    """What type() gives: compared by name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypeValue) and other.name == self.name

    @override
    def __hash__(self) -> int:
        return hash(self.name)

    @override
    def __repr__(self) -> str:
        return self.name


class SetList(list[object]):
    """A list of x-kubernetes-list-type set: equality ignores the order, + is the union."""

    __slots__ = ()


class AssociatedList(list[object]):
    """A list of x-kubernetes-list-type map: equality ignores the order, + merges by `keys`."""

    __slots__ = ("keys",)

    keys: tuple[str, ...]

    def key_of(self, element: object) -> tuple[object, ...]:
        """The values of the key properties of one element."""
        return tuple(
            element.get(key) if isinstance(element, Mapping) else None for key in self.keys
        )


_NUMBERS = frozenset((int, Uint, float))
_SCALARS = frozenset((str, bytes, bool, type(None), Timestamp, Duration, TypeValue))


def equal(one: object, other: object) -> bool:  # noqa: PLR0911 - one case a line
    """CEL's `==`: numbers across their types, otherwise False between different types."""
    kind, with_ = type(one), type(other)
    if kind in _SCALARS or with_ in _SCALARS:
        return kind is with_ and one == other
    if kind in _NUMBERS:
        return _equal_numbers(one, other)
    if isinstance(one, list):
        return isinstance(other, list) and _equal_lists(one, other)
    if isinstance(one, Mapping):
        return isinstance(other, Mapping) and _equal_maps(one, other)
    if isinstance(one, Optional):
        if not isinstance(other, Optional) or one.present != other.present:
            return False
        return not one.present or equal(one.value, other.value)
    return one == other


def _equal_numbers(one: Any, other: Any) -> bool:
    if type(other) not in _NUMBERS:
        return False
    # A double and an integer are equal if they are as doubles: so upstream has it.
    if isinstance(one, float) or isinstance(other, float):
        return float(one) == float(other)
    return bool(one == other)


def _equal_lists(one: list[object], other: list[object]) -> bool:
    if len(one) != len(other):
        return False
    if isinstance(one, SetList):
        mine, theirs = set(map(hashable, one)), set(map(hashable, other))
        return mine == theirs
    if isinstance(one, AssociatedList):
        mine_by_key = {hashable(one.key_of(element)): element for element in one}
        seen = set()
        for element in other:
            key = hashable(one.key_of(element))
            if key not in mine_by_key or not equal(mine_by_key[key], element):
                return False
            seen.add(key)
        return len(seen) == len(mine_by_key)
    return all(map(equal, one, other))


def _equal_maps(one: Mapping[object, object], other: Mapping[object, object]) -> bool:
    declared = getattr(one, "equals", None)
    if declared is not None:
        return bool(declared(other))
    if len(one) != len(other):
        return False
    for key, value in one.items():
        found, theirs = find(other, key)
        if not found or not equal(value, theirs):
            return False
    return True


def hashable(value: object) -> object:
    """A key that is equal for equal values; booleans differ from numbers."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list | tuple):
        return ("list", *map(hashable, value))
    if isinstance(value, Mapping):
        return ("map", frozenset((hashable(k), hashable(v)) for k, v in value.items()))
    return value


def find(mapping: Mapping[object, object], key: object) -> tuple[bool, object]:
    """(whether the key is there, its value); True is not 1."""
    kind = type(key)
    if kind is not str and kind not in _NUMBERS and kind is not bool:
        raise EvaluationError("no such overload")
    try:
        value = mapping[key]
    except KeyError:
        return False, None
    if kind is bool or (kind is not str and any(type(k) is bool for k in mapping)):
        for present, candidate in mapping.items():
            if present == key and (type(present) is bool) == (kind is bool):
                return True, candidate
        return False, None
    return True, value


def kind_of(value: object) -> str:
    """The kind (as of `types.Type`) of a value; objects are of kind map."""
    kind = _KINDS.get(type(value))
    if kind is not None:
        return kind
    if isinstance(value, list):
        return "list"
    if isinstance(value, Mapping):
        return "map"
    if isinstance(value, Optional):
        return "optional_type"
    return str(getattr(value, "type_name", "dyn"))


_KINDS: dict[type, str] = {
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null",
    list: "list",
    dict: "map",
    SetList: "list",
    AssociatedList: "list",
    Timestamp: "timestamp",
    Duration: "duration",
    TypeValue: "type",
}
_TYPE_NAMES = {
    "null": "null_type",
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
}


def type_value(value: object) -> TypeValue:
    """What type(value) is."""
    kind = kind_of(value)
    return TypeValue(_TYPE_NAMES.get(kind, kind))


def actual_size(value: object) -> int:
    """The size that costs count: of strings, bytes, lists and maps, otherwise 1."""
    if isinstance(value, str | bytes | list | Mapping):
        return len(value)
    if isinstance(value, Optional) and value.present:
        return actual_size(value.value)
    size = getattr(value, "cost_size", 1)
    return int(size)
