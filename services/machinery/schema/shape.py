"""How the fields of a definition merge under a strategic patch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Lookup = Callable[[str], Mapping[str, Any]]

_REFERENCE = "#/$defs/"


@dataclass(frozen=True, slots=True)
class Field:
    """One field: whether its list merges, by which key, and the definition of what it holds.

    ``definition`` is that of the value, of a list's elements or of a map's values; empty when
    these have no fields of their own.
    """

    merges: bool = False
    merge_key: str = ""
    definition: str = ""
    replaces: bool = False
    is_map: bool = False


_PLAIN = Field()


class Shapes:
    """Fields by definition and name, looked up once."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._fields: dict[str, dict[str, Field]] = {"": {}}

    def field(self, definition: str, name: str) -> Field:
        """The field; one without a schema is plain: maps merge, all else is replaced."""
        fields = self._fields.get(definition)
        if fields is None:
            properties = self._lookup(definition).get("properties", {})
            fields = {key: _field(schema) for key, schema in properties.items()}
            self._fields[definition] = fields
        return fields.get(name, _PLAIN)


def _field(schema: Mapping[str, Any]) -> Field:
    strategy = schema.get("x-kubernetes-patch-strategy", "").split(",")
    of_map = schema.get("additionalProperties")
    inner = schema.get("items") or of_map or schema
    reference: str = inner.get("$ref", "") if isinstance(inner, Mapping) else ""
    return Field(
        merges="merge" in strategy,
        merge_key=schema.get("x-kubernetes-patch-merge-key", ""),
        definition=reference.removeprefix(_REFERENCE),
        replaces="replace" in strategy,
        is_map=isinstance(of_map, Mapping),
    )
