"""What a schema says about how the values of a kind are merged and owned.

A :class:`Type` may allow a scalar, a list and a map at once (free-form values); which one counts
is seen at the value. Built once per definition; definitions that contain themselves are welcome.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pilothouse.services.machinery.protobuf.messages import SCALARS, Messages

Lookup = Callable[[str], Mapping[str, Any]]

_REFERENCE = "#/$defs/"
_REFERENCES = (_REFERENCE, "#/definitions/", "#/components/schemas/")
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_SCALARS = {"integer": "numeric", "number": "numeric", "boolean": "boolean"}
_UNTYPED_DEFINITIONS = frozenset(
    {
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    }
)
_RAW_EXTENSION = "io.k8s.apimachinery.pkg.runtime.RawExtension"
_KEY_DEFAULTS = {
    "io.k8s.api.core.v1.ContainerPort": {"protocol": "TCP"},
    "io.k8s.api.core.v1.ServicePort": {"protocol": "TCP"},
    "io.k8s.api.core.v1.LocalObjectReference": {"name": ""},
}
"""Defaults of fields that are keys of lists, which the published schemas leave out."""


class Type:
    """How a value behaves. ``scalar`` is empty where none is allowed, else its sort.

    ``keys`` of a list that is neither atomic nor keyed is empty: it is a set. ``present`` names
    the fields that an object of this type always has, with their zero when nothing is said.
    """

    __slots__ = (
        "atomic_list", "atomic_map", "defaults", "element", "fields", "is_list", "is_map", "item",
        "keys", "present", "scalar",
    )  # fmt: skip

    def __init__(self, scalar: str = "") -> None:
        self.scalar = scalar
        self.is_list = self.is_map = False
        self.atomic_list = self.atomic_map = False
        self.keys: tuple[str, ...] = ()
        self.defaults: Mapping[str, Any] = {}
        self.item: Type | None = None
        self.fields: dict[str, Type] = {}
        self.element: Type | None = None
        self.present: frozenset[str] = frozenset()

    def at(self, name: str) -> "Type":
        """The type of a field or of a map's value; free-form where nothing is said."""
        return self.fields.get(name) or self.element or DEDUCED

    def take(self, other: "Type") -> None:
        """Become like ``other``."""
        for name in Type.__slots__:
            setattr(self, name, getattr(other, name))


def _free(*, atomic: bool) -> Type:
    free = Type("untyped")
    free.is_list = free.is_map = free.atomic_list = True
    free.atomic_map = atomic
    return free


UNTYPED = _free(atomic=True)
UNTYPED.item = UNTYPED.element = UNTYPED
DEDUCED = _free(atomic=False)
DEDUCED.item, DEDUCED.element = UNTYPED, DEDUCED


class Types:
    """Types by definition, each built when it is first asked for.

    ``messages`` tells of built-in types which of their fields are never left out.
    """

    def __init__(self, lookup: Lookup, messages: Messages) -> None:
        self._lookup = lookup
        self._messages = messages
        self._kinds: dict[str, tuple[Mapping[str, Any], Type]] = {}
        self._named: dict[str, Type] = {}

    def of_kind(self, definition: str) -> Type:
        """The type of a whole object; it has metadata, whatever its schema says of it.

        Built anew when the definition is no longer the one that it was built from.
        """
        schema = self._lookup(definition)
        known = self._kinds.get(definition)
        if known is not None and known[0] is schema:
            return known[1]
        found = self._schema(schema, preserve=False)
        self._head(found)
        found.present = self._present(definition, schema) | {"metadata"}
        self._kinds[definition] = (schema, found)
        return found

    def _head(self, found: Type) -> None:
        """What every object has, and what an embedded one has too."""
        text = Type("string")
        given = {"apiVersion": text, "kind": text, "metadata": self._definition(_META)}
        found.fields = {**found.fields, **given}

    def _definition(self, name: str) -> Type:
        found = self._named.get(name)
        if found is not None:
            return found
        if name in _UNTYPED_DEFINITIONS:
            found = Type("untyped")
        elif name == _RAW_EXTENSION:
            found = UNTYPED
        else:
            # Known under its name before it is built: it may contain itself.
            found = self._named[name] = Type()
            schema = self._lookup(name)
            found.take(self._schema(schema, preserve=False))
            found.defaults = _KEY_DEFAULTS.get(name) or found.defaults
            found.present = self._present(name, schema)
        self._named[name] = found
        return found

    def _present(self, name: str, schema: Mapping[str, Any]) -> frozenset[str]:
        """The fields that Go's structs always have: those that are neither pointers nor empty."""
        try:
            fields = self._messages.fields(".".join(name.split(".")[-3:]))
        except KeyError:
            return frozenset()
        known = schema.get("properties", {})
        return frozenset(
            field.name
            for field in fields
            if field.name in known
            and (field.mark == "!" or (_is_struct(field) and field.mark != "*"))
        )

    def _reference(self, schema: Mapping[str, Any], *, preserve: bool) -> Type:
        name = reference(schema)
        if not name:
            return self._schema(schema, preserve=preserve)
        named = self._definition(name)
        relation = schema.get("x-kubernetes-map-type")
        if relation is None:
            return named
        overridden = Type()
        overridden.take(named)
        overridden.atomic_map = relation == "atomic"
        return overridden

    def _schema(self, schema: Mapping[str, Any], *, preserve: bool) -> Type:
        preserve = preserve or schema.get("x-kubernetes-preserve-unknown-fields") is True
        sort = type_of(schema)
        found = Type()
        if sort in {"", "object"}:
            self._map(found, schema, preserve=preserve)
        if sort in {"", "array"}:
            self._list(found, schema, preserve=preserve)
        if sort == "string":
            found.scalar = "string" if schema.get("format", "") in {"", "byte"} else "untyped"
        elif sort not in {"object", "array"}:
            found.scalar = _SCALARS.get(sort, "untyped")
        return found

    def _map(self, found: Type, schema: Mapping[str, Any], *, preserve: bool) -> None:
        properties: Mapping[str, Any] = schema.get("properties") or {}
        found.is_map = True
        found.atomic_map = schema.get("x-kubernetes-map-type") == "atomic"
        found.fields = {
            name: self._reference(each, preserve=preserve) for name, each in properties.items()
        }
        found.defaults = {
            name: each["default"] for name, each in properties.items() if "default" in each
        }
        if schema.get("x-kubernetes-embedded-resource") is True:
            self._head(found)
        values = schema.get("additionalProperties")
        if isinstance(values, Mapping):
            found.element = self._reference(values, preserve=preserve)
        elif values is True or (values is None and (preserve or not properties)):
            found.element = DEDUCED

    def _list(self, found: Type, schema: Mapping[str, Any], *, preserve: bool) -> None:
        found.is_list = True
        items = schema.get("items")
        found.item = self._reference(items, preserve=preserve) if items else UNTYPED
        sort = schema.get("x-kubernetes-list-type")
        if sort is None and schema.get("x-kubernetes-patch-strategy", "").startswith("merge"):
            key = schema.get("x-kubernetes-patch-merge-key")
            found.keys = (key,) if key else ()
        elif sort == "map":
            found.keys = _keys(schema)
        else:
            found.atomic_list = sort != "set"


def _is_struct(field: Any) -> bool:
    return not field.form and field.type not in SCALARS and field.name != "."


def _keys(schema: Mapping[str, Any]) -> tuple[str, ...]:
    names: Iterable[str] = schema.get("x-kubernetes-list-map-keys") or ()
    return tuple(sorted(names))


def reference(schema: Mapping[str, Any]) -> str:
    """The definition that a schema names, directly or as the only part of an ``allOf``."""
    text: str = schema.get("$ref", "")
    if not text:
        parts = schema.get("allOf") or ()
        text = next(iter(parts)).get("$ref", "") if len(parts) == 1 else ""
    for prefix in _REFERENCES:
        text = text.removeprefix(prefix)
    return text


def type_of(schema: Mapping[str, Any]) -> str:
    """The one type of a schema beside null; empty for any."""
    found = schema.get("type", "")
    if isinstance(found, str):
        return found
    return next((word for word in found if word != "null"), "")
