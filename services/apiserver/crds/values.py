"""Whether a value is as its schema says, in the words of the real server.

A check is a closure over (value, old, path, causes). ``old`` is what stood in the value's place
before, ABSENT where nothing did: what is wrong with a value that did not change is forgiven.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pilothouse.services.apiserver.crds import formats
from pilothouse.services.apiserver.crds.patterns import compile_pattern
from pilothouse.services.apiserver.crds.pruning import Schema
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause
from pilothouse.services.machinery.schema.report import Path, render

Check: TypeAlias = Callable[[Any, Any, Path, list[Cause]], None]


class _Absent:
    __slots__ = ()


ABSENT: Final = _Absent()
_INT_OR_STRING = "x-kubernetes-int-or-string"
_INT32 = 2**31
_INT64 = 2**63
_FLOAT32_MAX = 3.4028234663852886e38


def compile_check(schema: Schema) -> Check:
    """The check of one schema and all below it."""
    parts = [
        part
        for part in (
            _combined(schema), _strings(schema), _numbers(schema), _lists(schema), _enum(schema),
            _objects(schema),
        )
        if part is not None
    ]  # fmt: skip
    types = _types(schema)
    nullable = bool(schema.get("nullable"))
    has_format = bool(schema.get("format")) and not formats.unrecognized(schema)
    told = ",".join(types)
    numeric = "number" in types or "integer" in types
    enum = _enum(schema)

    def check(value: Any, old: Any, path: Path, causes: list[Cause]) -> None:
        before = len(causes)
        if value is None:
            if types and not nullable:
                causes.append(_wrong_type(path, told, "null"))
            if enum is not None:
                enum(value, old, path, causes)
        else:
            kind = type_of(value)
            excused = has_format and not numeric and kind in ("string", "array")
            if types and kind not in types and not excused and not _passes(value, kind, types):
                causes.append(_wrong_type(path, told, kind))
            for part in parts:
                part(value, old, path, causes)
        if len(causes) > before and old is not ABSENT and _same(value, old):
            del causes[before:]

    return check


def _types(schema: Schema) -> tuple[str, ...]:
    if schema.get(_INT_OR_STRING):
        return ("integer", "string")
    found = schema.get("type")
    return (found,) if found else ()


_TYPE_NAMES: dict[type, str] = {
    bool: "boolean", str: "string", int: "integer", float: "number", list: "array", dict: "object",
}  # fmt: skip


def type_of(value: Any) -> str:
    """The JSON type of a value that is not null."""
    return _TYPE_NAMES[type(value)]


def _passes(value: Any, kind: str, types: tuple[str, ...]) -> bool:
    """Whole numbers are integers however they are written, and integers are numbers."""
    if kind == "integer":
        return "number" in types
    return kind == "number" and "integer" in types and value.is_integer()


def _same(value: Any, old: Any) -> bool:
    return bool(value == old) and type(value) is type(old)


def _wrong_type(path: Path, wanted: str, found: str) -> Cause:
    name = render(path)
    message = f'{name} in body must be of type {wanted}: "{found}"'
    return Cause(name, f'Invalid value: "{found}": {message}', "FieldValueTypeInvalid")


def _invalid(path: Path, value: Any, why: str) -> Cause:
    name = render(path)
    return names.invalid(name, value, f"{name} in body {why}")


def _strings(schema: Schema) -> Check | None:
    longest, shortest = schema.get("maxLength"), schema.get("minLength")
    pattern = schema.get("pattern") or ""
    format_ = schema.get("format") or ""
    holds = formats.of(schema)
    if longest is None and not shortest and not pattern and holds is None:
        return None
    matches = compile_pattern(pattern) if pattern else None

    def check(value: Any, old: Any, path: Path, causes: list[Cause]) -> None:
        del old
        if type(value) is not str:
            return
        if longest is not None and len(value) > longest:
            causes.append(_too_long(path, longest))
        elif shortest and len(value) < shortest:
            causes.append(_invalid(path, value, f"should be at least {shortest} chars long"))
        elif matches is not None and not matches(value):
            causes.append(_invalid(path, value, f"should match '{pattern}'"))
        if holds is not None and not holds(value):
            causes.append(_wrong_format(path, format_, value))

    return check


def _too_long(path: Path, longest: int) -> Cause:
    noun = "byte" if longest == 1 else "bytes"
    message = f"Too long: may not be more than {longest} {noun}"
    return Cause(render(path), message, "FieldValueTooLong")


def _wrong_format(path: Path, format_: str, value: str) -> Cause:
    name, shown = render(path), json.dumps(value, ensure_ascii=False)
    message = f"Invalid value: {shown}: {name} in body must be of type {format_}: {shown}"
    return Cause(name, message, "FieldValueTypeInvalid")


def _number(value: float) -> str:
    """As Go's ``%v`` writes a float64."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e21):  # noqa: PLR2004 - Go's
        return str(int(value))
    return repr(value).replace("e-0", "e-").replace("e+0", "e+")


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What a schema says of numbers."""

    least: float | None
    most: float | None
    above: bool
    below: bool
    multiple: float | None
    type: str
    format: str

    def check(self, value: Any, old: Any, path: Path, causes: list[Cause]) -> None:
        del old
        kind = type(value)
        if kind is not int and kind is not float:
            return
        if self.type and not self._fits(value):
            shown = f"with format {self.format} in" if self.format else "(default format) in"
            message = f"Checked value must be of type {self.type} {shown} {render(path)}"
            causes.append(Cause("<nil>", f'Invalid value: "": {message}'))
        if self.multiple is not None and not _is_multiple(value, self.multiple):
            shown = _number(self.multiple)
            causes.append(_invalid(path, value, f"should be a multiple of {shown}"))
        least, most = self.least, self.most
        if least is not None and (value <= least if self.above else value < least):
            word = "than" if self.above else "than or equal to"
            causes.append(_invalid(path, value, f"should be greater {word} {_number(least)}"))
        if most is not None and (value >= most if self.below else value > most):
            word = "than" if self.below else "than or equal to"
            causes.append(_invalid(path, value, f"should be less {word} {_number(most)}"))

    def _fits(self, value: float) -> bool:
        if self.type == "number":
            return self.format != "float" or abs(value) <= _FLOAT32_MAX
        bound = _INT32 if self.format == "int32" else _INT64
        whole = type(value) is int or float(value).is_integer()
        return whole and -bound <= value < bound


def _is_multiple(value: float, factor: float) -> bool:
    if factor <= 0:
        return False
    if type(value) is int and float(factor).is_integer():
        return value % int(factor) == 0
    quotient = 1 / factor * value if factor < 1 else value / factor
    nearest = round(quotient)
    return abs(quotient - nearest) < 1e-9 * max(1.0, abs(quotient))


def _numbers(schema: Schema) -> Check | None:
    bounds = _Bounds(
        least=schema.get("minimum"),
        most=schema.get("maximum"),
        above=bool(schema.get("exclusiveMinimum")),
        below=bool(schema.get("exclusiveMaximum")),
        multiple=schema.get("multipleOf"),
        type=schema.get("type", "") if schema.get("type") in ("integer", "number") else "",
        format=schema.get("format", "") if not formats.unrecognized(schema) else "",
    )
    given = (bounds.least, bounds.most, bounds.multiple)
    return bounds.check if bounds.type == "integer" or bounds.format or any(
        item is not None for item in given
    ) else None  # fmt: skip


def _enum(schema: Schema) -> Check | None:
    values = schema.get("enum")
    if not values:
        return None
    texts = frozenset(item for item in values if type(item) is str)
    shown = [item if isinstance(item, str) else json.dumps(item) for item in values]

    def check(value: Any, old: Any, path: Path, causes: list[Cause]) -> None:
        del old
        if type(value) is str:
            if value in texts:
                return
        elif any(_same(value, item) for item in values):
            return
        causes.append(names.unsupported(render(path), value, shown))

    return check


def _lists(schema: Schema) -> Check | None:
    items = schema.get("items")
    most, least = schema.get("maxItems"), schema.get("minItems")
    unique = bool(schema.get("uniqueItems"))
    element = compile_check(items) if isinstance(items, dict) else None
    if element is None and most is None and not least and not unique:
        return None
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    keyed = schema.get("x-kubernetes-list-type") == "map"

    def check(value: Any, old: Any, path: Path, causes: list[Cause]) -> None:
        if type(value) is not list:
            return
        if element is not None:
            before = _by_key(old, keys) if keyed and type(old) is list else None
            for index, item in enumerate(value):
                was = ABSENT if before is None else before.get(_key_of(item, keys), ABSENT)
                element(item, was, (path, index), causes)
        if least and len(value) < least:
            causes.append(_invalid(path, len(value), f"should have at least {least} items"))
        if most is not None and len(value) > most:
            causes.append(names.too_many(render(path), len(value), most))
        if unique and any(item in value[:index] for index, item in enumerate(value)):
            causes.append(_invalid(path, "", "shouldn't contain duplicates"))

    return check


def _key_of(item: Any, keys: tuple[str, ...]) -> str:
    if type(item) is not dict:
        return ""
    return json.dumps([item.get(key) for key in keys], sort_keys=True)


def _by_key(old: list[Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {_key_of(item, keys): item for item in old}


def _objects(schema: Schema) -> Check | None:  # noqa: C901 - a compiled closure beside what it closes over
    properties = {
        name: compile_check(item) for name, item in (schema.get("properties") or {}).items()
    }
    map_schema = schema.get("additionalProperties")
    values = compile_check(map_schema) if isinstance(map_schema, dict) else None
    closed = map_schema is False
    required = tuple(schema.get("required") or ())
    needed = frozenset(required)
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    if not (properties or values or closed or required or most is not None or least):
        return None
    atomic = schema.get("x-kubernetes-map-type") == "atomic"

    def check(value: Any, old: Any, path: Path, causes: list[Cause]) -> None:
        if type(value) is not dict:
            return
        if least and len(value) < least:
            causes.append(_invalid(path, len(value), f"should have at least {least} properties"))
        if most is not None and len(value) > most:
            causes.append(names.too_many(render(path), len(value), most))
        was = old if type(old) is dict and not atomic else _NOTHING
        for name, item in value.items():
            one = properties.get(name)
            if one is not None:
                one(item, was.get(name, ABSENT), (path, name), causes)
            elif values is not None:
                values(item, was.get(name, ABSENT), (path, name), causes)
            elif closed:
                where = render(path)
                causes.append(
                    names.invalid(where, name, f"{where}.{name} in body is a forbidden property")
                )
        if not needed <= value.keys():
            absent = [name for name in required if name not in value]
            causes.extend([names.required(render((path, name))) for name in absent])

    return check


_NOTHING: dict[str, Any] = {}


def _combined(schema: Schema) -> Check | None:  # noqa: C901, PLR0915 - a compiled closure beside what it closes over
    """``anyOf``, ``oneOf``, ``allOf`` and ``not``."""
    any_of = [compile_check(item) for item in schema.get("anyOf") or ()]
    one_of = [compile_check(item) for item in schema.get("oneOf") or ()]
    all_of = [compile_check(item) for item in schema.get("allOf") or ()]
    negated = schema.get("not")
    none_of = compile_check(negated) if negated is not None else None
    if not (any_of or one_of or all_of or none_of):
        return None

    def check(value: Any, old: Any, path: Path, causes: list[Cause]) -> None:
        if any_of:
            found = [_run(one, value, old, path) for one in any_of]
            if all(found):
                causes.append(_junctor(path, "must validate at least one schema (anyOf)"))
                causes.extend(_fewest(found))
        if one_of:
            _check_one(value, old, path, causes)
        if all_of:
            found = [_run(one, value, old, path) for one in all_of]
            for each in found:
                causes.extend(each)
            if any(found):
                tail = ". None validated" if all(found) else ""
                causes.append(_junctor(path, f"must validate all the schemas (allOf){tail}"))
        if none_of is not None and not _run(none_of, value, old, path):
            causes.append(_junctor(path, "must not validate the schema (not)"))

    def _check_one(value: Any, old: Any, path: Path, causes: list[Cause]) -> None:
        found = [_run(one, value, old, path) for one in one_of]
        valid = sum(not each for each in found)
        if valid == 1:
            return
        tail = f"Found {valid} valid alternatives" if valid else "Found none valid"
        causes.append(_junctor(path, f"must validate one and only one schema (oneOf). {tail}"))
        if not valid:
            causes.extend(_fewest(found))

    return check


def _run(check: Check, value: Any, old: Any, path: Path) -> list[Cause]:
    causes: list[Cause] = []
    check(value, old, path, causes)
    return causes


def _junctor(path: Path, why: str) -> Cause:
    """Upstream names no field for these."""
    return Cause("<nil>", f'Invalid value: "": "{render(path)}" {why}')


def _fewest(found: list[list[Cause]]) -> list[Cause]:
    """What is wrong with the alternative that comes nearest."""
    return min(found, key=len)
