"""Types of structural OpenAPI schemas: what expressions read of an object, and how large it is.

`schema_type(schema)` gives a `Declaration`: the static type, the bounds that cost estimates use
and the conversion of JSON values to CEL values.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from pilothouse.services.machinery.cel import types
from pilothouse.services.machinery.cel.errors import EvaluationError
from pilothouse.services.machinery.cel.escaping import escape, unescape
from pilothouse.services.machinery.cel.formats import (
    decode_base64,
    parse_date,
    parse_date_time,
    parse_schema_duration,
)
from pilothouse.services.machinery.cel.values import AssociatedList, Optional, SetList, equal

if TYPE_CHECKING:
    from pilothouse.services.machinery.cel.types import Type

MAX_REQUEST_BYTES = 3 * 1024 * 1024
_MIN_SIZES = {
    "bool": 4,
    "int": 1,
    "double": 1,
    "string": 2,
    "bytes": 2,
    "duration": 3,
    "timestamp": 21,
    "dyn": 1,
}

Convert = Callable[[Any], Any]


class Declaration:
    """A declared type with bounds.

    `max_elements` bounds characters, items or entries, `min_size` is the least JSON in bytes,
    `convert` makes a CEL value of a JSON value (None: it is one already).
    """

    __slots__ = ("convert", "element", "fields", "key", "max_elements", "min_size", "type")

    def __init__(
        self, type_: Type, min_size: int, max_elements: int = 0, convert: Convert | None = None
    ) -> None:
        self.type = type_
        self.min_size = min_size
        self.max_elements = max_elements
        self.convert = convert
        self.fields: dict[str, Declaration] | None = None
        self.key: Declaration | None = None
        self.element: Declaration | None = None

    def at(self, path: tuple[str, ...]) -> Declaration | None:
        """The declaration under a path of field names, `@items`, `@keys` and `@values`."""
        node: Declaration | None = self
        for name in path:
            if node is None:
                return None
            if name in ("@items", "@values"):
                node = node.element
            elif name == "@keys":
                node = node.key
            else:
                node = node.fields.get(name) if node.fields is not None else None
        return node


class ObjectValue(Mapping[str, object]):
    """An object of a declared type: fields by their escaped names, undeclared ones hidden."""

    __slots__ = ("_cache", "_declaration", "raw")

    def __init__(self, raw: dict[str, Any], declaration: Declaration) -> None:
        self.raw = raw
        self._declaration = declaration
        self._cache: dict[str, object] | None = None

    @override
    def __getitem__(self, key: str) -> object:
        fields = self._declaration.fields
        declared = fields.get(key) if fields is not None else None
        if declared is None:
            raise KeyError(key)
        value = self.raw.get(key)
        if value is None and key not in self.raw:
            value = self.raw.get(unescape(key) or key)
        if value is None:
            # A null of a nullable field reads as an absent field.
            raise KeyError(key)
        convert = declared.convert
        if convert is None:
            return value
        if self._cache is None:
            self._cache = {}
        elif key in self._cache:
            return self._cache[key]
        result = self._cache[key] = convert(value)
        return result

    @override
    def __contains__(self, key: object) -> bool:
        fields = self._declaration.fields
        if fields is None or key not in fields or not isinstance(key, str):
            return False
        return self.raw.get(key, self.raw.get(unescape(key) or key)) is not None

    @override
    def __iter__(self) -> Iterator[str]:
        for name in self.raw:
            escaped = escape(name)
            if escaped is not None and escaped in self:
                yield escaped

    @override
    def __len__(self) -> int:
        return len(self.raw)

    @override
    def __eq__(self, other: object) -> bool:
        return equal(self, other)

    def equals(self, other: Mapping[object, object]) -> bool:
        """Field by field; undeclared fields of two objects by their JSON."""
        if not isinstance(other, ObjectValue):
            return len(self) == len(other) and all(
                key in other and equal(value, other[key]) for key, value in self.items()
            )
        if self.raw == other.raw:
            return True
        return len(self.raw) == len(other.raw) and all(
            self._same_field(other, name) for name in self.raw
        )

    def _same_field(self, other: ObjectValue, name: str) -> bool:
        key = escape(name) or name
        if key not in (self._declaration.fields or {}):
            return name not in other.raw or bool(self.raw[name] == other.raw[name])
        if key not in self or key not in other:
            return (key in self) == (key in other)
        return equal(self[key], other[key])

    __hash__ = None  # type: ignore[assignment]  # objects are no keys

    @override
    def items(self) -> ItemsView[str, object]:
        return ItemsView(self)


def schema_type(
    schema: Mapping[str, Any], *, root: bool = False, name: str = "object"
) -> Declaration | None:
    """The declaration of a structural schema; None if expressions can not see such values.

    `root` is for resources (embedded ones are found by their own mark): apiVersion, kind,
    metadata.name and metadata.generateName are always declared there. `name` names the type in
    error messages.
    """
    if schema.get("x-kubernetes-int-or-string"):
        bound = schema.get("maxLength")
        most = max(bound, 0) * 4 if bound is not None else MAX_REQUEST_BYTES - 2
        return Declaration(types.DYN, 1, most)
    if root or schema.get("x-kubernetes-embedded-resource"):
        schema = _with_metadata(schema)
    maker = _MAKERS.get(schema.get("type", ""))
    return None if maker is None else maker(schema, name)


def _with_metadata(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    text = {"type": "string"}
    properties = dict(schema.get("properties") or {})
    named = (properties.get("metadata") or {}).get("properties") or {}
    if {"apiVersion", "kind"} <= properties.keys() and {"name", "generateName"} <= named.keys():
        return schema
    properties["apiVersion"] = properties["kind"] = text
    properties["metadata"] = {"type": "object", "properties": {"name": text, "generateName": text}}
    return {**schema, "type": "object", "properties": properties}


def _array(schema: Mapping[str, Any], name: str) -> Declaration | None:
    items = schema.get("items")
    element = schema_type(items, name=f"{name}.@idx") if items is not None else None
    if element is None:
        return None
    bound = schema.get("maxItems")
    most = max(bound, 0) if bound is not None else (MAX_REQUEST_BYTES - 2) // (element.min_size + 1)
    result = Declaration(
        types.list_of(element.type), 2, most, _list_conversion(schema, element.convert)
    )
    result.element = element
    return result


def _list_conversion(schema: Mapping[str, Any], convert: Convert | None) -> Convert | None:
    kind = schema.get("x-kubernetes-list-type", "atomic")
    if kind == "set":
        return lambda raw: SetList(raw if convert is None else map(convert, raw))
    if kind == "map":
        keys = tuple(escape(key) or key for key in schema.get("x-kubernetes-list-map-keys") or ())

        def associated(raw: list[Any]) -> AssociatedList:
            result = AssociatedList(raw if convert is None else map(convert, raw))
            result.keys = keys
            return result

        return associated
    if convert is None:
        return None

    def listed(raw: Any) -> list[Any]:
        if type(raw) is not list:
            raise _unfit("an array", "array")
        return [convert(item) for item in raw]

    return listed


def _unfit(wanted: str, type_: str) -> EvaluationError:
    return EvaluationError(
        f"invalid data, expected {wanted} for the provided schema with type={type_}"
    )


def _object(schema: Mapping[str, Any], name: str) -> Declaration | None:
    additional = schema.get("additionalProperties")
    if isinstance(additional, Mapping):
        return _map(schema, additional, name)
    required = frozenset(schema.get("required") or ())
    least = 2
    fields: dict[str, Declaration] = {}
    for property_, value in (schema.get("properties") or {}).items():
        field = schema_type(value, name=f"{name}.{property_}")
        if field is None:
            continue
        if property_ in required and value.get("default") is None:
            least += len(property_) + field.min_size + 4
        identifier = escape(property_)
        if identifier is not None:
            fields[identifier] = field
    result = Declaration(
        types.struct(name, {key: field.type for key, field in fields.items()}), least
    )
    result.fields = fields

    def convert(raw: Any) -> ObjectValue:
        if type(raw) is not dict:
            raise _unfit("a map", "object")
        return ObjectValue(raw, result)

    result.convert = convert
    return result


def _map(schema: Mapping[str, Any], additional: Mapping[str, Any], name: str) -> Declaration | None:
    element = schema_type(additional, name=f"{name}.@elem")
    if element is None:
        return None
    bound = schema.get("maxProperties")
    most = max(bound, 0) if bound is not None else (MAX_REQUEST_BYTES - 2) // (element.min_size + 6)
    result = Declaration(types.map_of(types.STRING, element.type), 2, most)
    result.element = element
    result.key = Declaration(types.STRING, 2)
    convert = element.convert
    if convert is not None:
        result.convert = lambda raw: {key: convert(value) for key, value in raw.items()}
    return result


def _string(schema: Mapping[str, Any], _: str) -> Declaration:
    bound = schema.get("maxLength")
    format_ = schema.get("format")
    if format_ == "byte":
        most = max(bound, 0) if bound is not None else MAX_REQUEST_BYTES - 2
        return Declaration(types.BYTES, 2, most, _reading(decode_base64, "byte"))
    if format_ == "duration":
        return Declaration(types.DURATION, 3, 32, _reading(parse_schema_duration, "duration"))
    if format_ == "date":
        return Declaration(types.TIMESTAMP, 12, 12, _reading(parse_date, "date"))
    if format_ == "date-time":
        return Declaration(types.TIMESTAMP, 21, 32, _reading(parse_date_time, "date-time"))
    if bound is not None:
        most = max(bound, 0) * 4
    elif schema.get("enum"):
        most = max((len(v.encode()) for v in schema["enum"] if isinstance(v, str)), default=0)
    else:
        most = MAX_REQUEST_BYTES - 2
    return Declaration(types.STRING, 2, most)


def _reading(parse: Callable[[str], object], format_: str) -> Convert:
    def convert(text: str) -> object:
        try:
            return parse(text)
        except (ValueError, TypeError) as error:
            raise EvaluationError(f"Invalid {format_} formatted string {text}: {error}") from None

    return convert


def _double(value: int | float) -> float:
    return float(value)


_MAKERS: dict[str, Callable[[Mapping[str, Any], str], Declaration | None]] = {
    "array": _array,
    "object": _object,
    "string": _string,
    "boolean": lambda schema, name: Declaration(types.BOOL, 4),
    "number": lambda schema, name: Declaration(types.DOUBLE, 1, 0, _double),
    "integer": lambda schema, name: Declaration(types.INT, 1),
}


def declare(type_: Type) -> Declaration:
    """A declaration of a type without bounds, for variables that no schema describes."""
    return Declaration(type_, _MIN_SIZES.get(type_.kind, 2))


def optional(declaration: Declaration) -> Declaration:
    """The declaration of a variable that may be absent, bound to JSON or to `values.NONE`."""
    inner = declaration.convert

    def convert(raw: Any) -> Any:
        if isinstance(raw, Optional):
            return raw
        return Optional(raw if inner is None else inner(raw))

    return Declaration(types.optional_of(declaration.type), declaration.min_size, 0, convert)
