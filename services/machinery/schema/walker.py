"""Walk an object along its schema, in place: drop what is unknown or null, refuse wrong types."""

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

from pilothouse.services.machinery.schema import scalars
from pilothouse.services.machinery.schema.report import Path, Report, render
from pilothouse.services.machinery.schema.scalars import Scalar

Lookup = Callable[[str], Mapping[str, Any]]
Walk = Callable[[Any, Path, Report, str], Any]
"""Takes the value, its path, the report and its struct's name; returns the value to keep."""

_REFERENCE = "#/$defs/"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_INT_OR_TEXT = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_SPECIAL: dict[str, Scalar] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": scalars.amount,
    _INT_OR_TEXT: scalars.int_or_text,
    f"{_META}Time": scalars.instant,
    f"{_META}MicroTime": scalars.instant,
}
_FORMATS: dict[tuple[str, str], Scalar] = {
    ("integer", "int32"): scalars.int32,
    ("string", "byte"): scalars.octets,
    ("string", "date-time"): scalars.instant,
}
_TYPES: dict[str, Scalar] = {
    "string": scalars.text,
    "integer": scalars.int64,
    "number": scalars.number,
    "boolean": scalars.boolean,
}
_ZEROS: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": []}
# What is required and may be nil in Go: nothing is not the same as a selector of everything.
_POINTERS = frozenset(
    {"selector", "sideEffects", "pathType", "parentRef", "secretRef", "priority", "quantity", "min"}
)
_NOT_REQUIRED = frozenset(
    {
        # Slices that may be null on the wire, and are then empty.
        ("io.k8s.api.discovery.v1.EndpointSlice", "endpoints"),
        ("io.k8s.api.authentication.v1.TokenRequestSpec", "audiences"),
        ("io.k8s.api.authorization.v1.ResourceRule", "verbs"),
        # Told by their own rules, in other words.
        *((f"{_META}OwnerReference", name) for name in ("apiVersion", "kind", "name", "uid")),
        (f"{_META}LabelSelectorRequirement", "operator"),
        ("io.k8s.api.core.v1.LimitRangeSpec", "limits"),
        # Events of the core group, shown in this shape, have none.
        ("io.k8s.api.events.v1.Event", "eventTime"),
    }
)


class Walkers:
    """Walkers by definition, each compiled when it is first met."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._compiled: dict[tuple[str, bool], Walk] = {}
        self._kinds: dict[str, Walk] = {}

    def of_kind(self, definition: str) -> Walk:
        """The walker of a whole object. Nothing is required inside ``status``."""
        found = self._kinds.get(definition)
        if found is None:
            found = self._kinds[definition] = self._compile_kind(definition)
        return found

    def _compile_kind(self, definition: str) -> Walk:
        schema = self._lookup(definition)
        checks = self._properties(schema, strict=True)
        status = schema.get("properties", {}).get("status")
        if status is not None:
            checks["status"] = self._walk(status, strict=False)
        return _object(_short(definition), checks, self._required(definition, schema))

    def of(self, definition: str, *, strict: bool = True) -> Walk:
        """The walker of a definition; with ``strict`` its required fields must be there."""
        key = (definition, strict)
        found = self._compiled.get(key)
        if found is None:
            found = self._compiled[key] = self._lazy(definition, strict=strict)
            found = self._compiled[key] = self._compile(definition, strict=strict)
        return found

    def _lazy(self, definition: str, *, strict: bool) -> Walk:
        """Stands in for a definition that contains itself while that is being compiled."""

        def walk(value: Any, path: Path, report: Report, struct: str) -> Any:
            return self.of(definition, strict=strict)(value, path, report, struct)

        return walk

    def _compile(self, definition: str, *, strict: bool) -> Walk:
        special = _SPECIAL.get(definition)
        if special is not None:
            return _scalar(special)
        schema = self._lookup(definition)
        if "properties" not in schema:
            return self._walk(schema, strict=strict)
        required = self._required(definition, schema) if strict else {}
        return _object(_short(definition), self._properties(schema, strict=strict), required)

    def _required(self, definition: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that must be there, and what each is when it was not given."""
        properties: Mapping[str, Any] = schema.get("properties", {})
        return {
            name: None if name in _POINTERS else self._zero(properties[name])
            for name in schema.get("required", ())
            if (definition, name) not in _NOT_REQUIRED and name in properties
        }

    def _zero(self, schema: Mapping[str, Any]) -> Any:
        """What Go has in a field that nobody has set; None of times, amounts and the like."""
        reference: str = schema.get("$ref", "")
        if not reference:
            return _ZEROS.get(_type(schema))
        definition = reference.removeprefix(_REFERENCE)
        if definition in _SPECIAL:
            return 0 if definition == _INT_OR_TEXT else None
        inner = self._lookup(definition)
        return {} if "properties" in inner else _ZEROS.get(_type(inner))

    def _properties(self, schema: Mapping[str, Any], *, strict: bool) -> dict[str, Walk]:
        properties: Mapping[str, Any] = schema.get("properties", {})
        return {name: self._walk(item, strict=strict) for name, item in properties.items()}

    def _walk(self, schema: Mapping[str, Any], *, strict: bool) -> Walk:
        reference: str = schema.get("$ref", "")
        if reference:
            return self.of(reference.removeprefix(_REFERENCE), strict=strict)
        type_ = _type(schema)
        if type_ == "array" and "items" in schema:
            return _array(self._walk(schema["items"], strict=strict), go_type(schema))
        if type_ == "object":
            inner = schema.get("additionalProperties")
            if isinstance(inner, dict):
                return _map(self._walk(inner, strict=strict), go_type(schema))
            return _any_object
        scalar = _FORMATS.get((type_, schema.get("format", ""))) or _TYPES.get(type_)
        return _scalar(scalar) if scalar is not None else _anything


def _type(schema: Mapping[str, Any]) -> str:
    found = schema.get("type", "")
    if isinstance(found, str):
        return found
    return str(next(word for word in found if word != "null"))


def _short(definition: str) -> str:
    return definition.rpartition(".")[2]


def go_type(schema: Mapping[str, Any]) -> str:
    """How Go's decoder calls the type of a field: ``[]v1.Container``, ``map[string]string``."""
    reference: str = schema.get("$ref", "")
    if reference:
        return ".".join(reference.rsplit(".", 2)[-2:])
    type_ = _type(schema)
    if type_ == "array":
        return f"[]{go_type(schema.get('items', {}))}"
    if type_ == "object":
        return f"map[string]{go_type(schema.get('additionalProperties') or {})}"
    words = {"integer": schema.get("format", "int64"), "boolean": "bool", "number": "float64"}
    return str(words.get(type_, "string"))


def _object(struct: str, checks: Mapping[str, Walk], required: Mapping[str, Any]) -> Walk:
    texts = frozenset(name for name, check in checks.items() if check is _TEXT)
    needed = frozenset(required)

    def walk(value: Any, path: Path, report: Report, outer: str) -> Any:
        if type(value) is not dict:
            raise scalars.refuse(value, path, outer, f"v1.{struct}")
        dropped: list[str] = []
        for name, item in value.items():
            if name in texts and type(item) is str:
                continue
            if name in checks and item is not None:
                kept = checks[name](item, (path, name), report, struct)
                if kept is not item:
                    value[name] = kept
            else:
                dropped.append(name)
        for name in dropped:
            del value[name]
            if name not in checks:
                report.unknown.append(render(path, name))
        if not needed <= value.keys():
            _fill(value, path, report, checks, required)
        return value

    return walk


def _fill(
    value: Any, path: Path, report: Report, checks: Mapping[str, Walk], required: Mapping[str, Any]
) -> None:
    """Go's zeros for what is missing; a struct is told of by its own fields."""
    for name, zero in required.items():
        if name in value:
            continue
        if isinstance(zero, dict):
            value[name] = checks[name]({}, (path, name), report, "")
        elif isinstance(zero, bool):
            value[name] = zero
        else:
            report.require(path, name)
            if zero is not None:
                value[name] = copy(zero)


def _array(element: Walk, type_: str) -> Walk:
    only_text = element is _TEXT

    def walk(value: Any, path: Path, report: Report, struct: str) -> Any:
        if type(value) is not list:
            raise scalars.refuse(value, path, struct, type_)
        for index, item in enumerate(value):
            if only_text and type(item) is str:
                continue
            kept = element(item, (path, index), report, struct)
            if kept is not item:
                value[index] = kept
        return value

    return walk


def _map(element: Walk, type_: str) -> Walk:
    only_text = element is _TEXT

    def walk(value: Any, path: Path, report: Report, struct: str) -> Any:
        if type(value) is not dict:
            raise scalars.refuse(value, path, struct, type_)
        for name, item in value.items():
            if only_text and type(item) is str:
                continue
            if item is None and only_text:
                value[name] = ""
                continue
            kept = element(item, (path, name), report, struct)
            if kept is not item:
                value[name] = kept
        return value

    return walk


def _any_object(value: Any, path: Path, report: Report, struct: str) -> Any:
    del report
    if type(value) is not dict:
        raise scalars.refuse(value, path, struct, "map[string]interface {}")
    return value


def _anything(value: Any, path: Path, report: Report, struct: str) -> Any:
    del path, report, struct
    return value


def _scalar(check: Scalar) -> Walk:
    known = _SCALARS.get(check)
    if known is None:

        def walk(value: Any, path: Path, report: Report, struct: str) -> Any:
            del report
            return check(value, path, struct)

        known = _SCALARS[check] = walk
    return known


_SCALARS: dict[Scalar, Walk] = {}
_TEXT = _scalar(scalars.text)
