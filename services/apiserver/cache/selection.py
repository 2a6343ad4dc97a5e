"""Which objects a list or watch is about: a namespace, labels and fields."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pilothouse.services.apiserver.cache.items import Item
from pilothouse.services.apiserver.kinds.fields import field_labels, unsupported
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.machinery.errors import BadRequest
from pilothouse.services.machinery.labels import EVERYTHING, Selector, parse

_TERM = re.compile(r"((?:[^\\,=!]|\\.)*)(==|=|!=)((?:[^\\,=]|\\.)*)")
_TERMS = re.compile(r"(?:[^\\,]|\\.)+")
_ESCAPED = re.compile(r"\\([\\,=])")


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    """``path`` is where the value stands in the object; ``equal`` False means ``!=``."""

    path: str
    value: str
    equal: bool = True


@dataclass(frozen=True, slots=True)
class Selection:
    """An empty ``namespace`` means all; an empty ``name`` any."""

    namespace: str = ""
    name: str = ""
    labels: Selector = EVERYTHING
    fields: tuple[FieldRequirement, ...] = ()
    nothing: bool = False

    @property
    def selects(self) -> bool:
        """Whether more than the namespace decides."""
        return bool(self.name or self.labels.requirements or self.fields or self.nothing)

    def matches(self, item: Item) -> bool:
        key = item.stored.key
        if self.namespace and key.namespace != self.namespace:
            return False
        if self.name and key.name != self.name:
            return False
        if self.nothing:
            return False
        if self.fields and not self._fields_match(item):
            return False
        return not self.labels.requirements or self.labels.matches(item.labels)

    def _fields_match(self, item: Item) -> bool:
        for wanted in self.fields:
            if (_value(item, wanted.path) == wanted.value) is not wanted.equal:
                return False
        return True


def _value(item: Item, path: str) -> str:
    if path == "metadata.name":
        return item.stored.key.name
    if path == "metadata.namespace":
        return item.stored.key.namespace
    return item.fields.get(path, "")


def parse_selection(
    kind: Kind, namespace: str, label_selector: str, field_selector: str
) -> Selection:
    """The selection that a request means; BadRequest when it can not be read."""
    selector = parse(label_selector) if label_selector else EVERYTHING
    name = ""
    nothing = False
    rest: list[FieldRequirement] = []
    known = field_labels(kind)
    for requirement in parse_fields(field_selector):
        resolved = _resolve(kind, requirement, known)
        if resolved.path == "metadata.name" and resolved.equal and not name:
            name, nothing = resolved.value, nothing or not resolved.value
        elif resolved.path == "metadata.namespace" and resolved.equal:
            nothing = nothing or bool(namespace and namespace != resolved.value)
            namespace = namespace or resolved.value
        else:
            rest.append(resolved)
    return Selection(namespace, name, selector, tuple(rest), nothing)


def parse_fields(text: str) -> list[FieldRequirement]:
    """``a=b,c!=d``; a comma, equals sign or backslash in a value is escaped with a backslash."""
    requirements = []
    for term in _TERMS.findall(text):
        match = _TERM.fullmatch(term)
        if match is None:
            raise BadRequest(f"invalid selector: '{text}'; can't understand '{term}'")
        path, operator, value = match.groups()
        value = _ESCAPED.sub(r"\1", value)
        requirements.append(FieldRequirement(path.strip(), value, operator != "!="))
    return requirements


def _resolve(
    kind: Kind, requirement: FieldRequirement, known: Mapping[str, str]
) -> FieldRequirement:
    label = requirement.path
    if label in {"metadata.name", "metadata.namespace"}:
        return requirement
    path = known.get(label)
    if path is None:
        raise BadRequest(unsupported(kind, label))
    return FieldRequirement(path, requirement.value, requirement.equal)
