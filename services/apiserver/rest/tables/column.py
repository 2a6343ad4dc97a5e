"""What a printed column is, and the few ways of reading an object that cells share."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pilothouse.services.apiserver.rest.tables import ages

NONE = "<none>"
UNSET = "<unset>"
UNKNOWN = "<unknown>"

Document: TypeAlias = Mapping[str, Any]
Cell: TypeAlias = Callable[[Document, float], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``cell(object, now)`` gives a JSON value; ``wide`` shows only with -o wide."""

    name: str
    cell: Cell
    type: str = "string"
    format: str = ""
    wide: bool = False

    def definition(self) -> dict[str, Any]:
        """The ``TableColumnDefinition`` of the wire."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": "",
            "priority": 1 if self.wide else 0,
        }


def at(document: Document, path: str) -> Any:
    """The value at a dotted path, or None where a step is missing."""
    value: Any = document
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def field(path: str, default: Any = "") -> Cell:
    """A cell that shows what is at ``path``, or ``default`` where that is empty."""

    def cell(document: Document, now: float) -> Any:
        del now
        value = at(document, path)
        return default if value is None or value == "" else value

    return cell


def number(path: str) -> Cell:
    """A cell that shows an integer, 0 where absent."""
    return field(path, 0)


def size(path: str) -> Cell:
    """A cell that counts the entries at ``path``."""
    return lambda document, now: len(at(document, path) or ())


def truth(path: str) -> Cell:
    """A cell that shows ``True`` or ``False``; absent is False."""
    return lambda document, now: str(bool(at(document, path)))


def since(path: str) -> Cell:
    """A cell that shows the age of the time at ``path``."""
    return lambda document, now: ages.since(at(document, path), now)


def selector(path: str) -> Cell:
    """A cell that shows a label selector."""
    return lambda document, now: format_selector(at(document, path))


def pairs(path: str) -> Cell:
    """A cell that shows a map as ``key=value,…``, sorted."""
    return lambda document, now: format_pairs(at(document, path))


def format_pairs(labels: Mapping[str, str] | None) -> str:
    """``a=1,b=2`` in key order, or ``<none>``."""
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels)) if labels else NONE


_OPERATORS = {"In": "in", "NotIn": "notin"}


def format_selector(value: Document | None) -> str:
    """A ``metav1.LabelSelector`` as text, ``<none>`` where it selects everything."""
    if not value:
        return NONE
    terms = [f"{key}={text}" for key, text in sorted((value.get("matchLabels") or {}).items())]
    for item in value.get("matchExpressions") or ():
        key, operator = item.get("key", ""), item.get("operator", "")
        if operator == "Exists":
            terms.append(key)
        elif operator == "DoesNotExist":
            terms.append(f"!{key}")
        else:
            listed = ",".join(sorted(item.get("values") or ()))
            terms.append(f"{key} {_OPERATORS.get(operator, operator)} ({listed})")
    return ",".join(terms) or NONE


def first_few(items: Iterable[str], *, limit: int = 3, separator: str = ",") -> str:
    """At most ``limit`` items, then how many more there are; empty text for none."""
    every = list(items)
    shown = separator.join(every[:limit])
    return f"{shown} + {len(every) - limit} more..." if len(every) > limit else shown


NAME = Column("Name", field("metadata.name"), format="name")
AGE = Column("Age", since("metadata.creationTimestamp"))
CREATED_AT = Column("Created At", field("metadata.creationTimestamp"))


def pod_template_columns(template: str, selecting: Cell | None) -> tuple[Column, ...]:
    """The wide columns of whatever makes pods: containers, images, and what it selects."""

    def listed(attribute: str) -> Cell:
        def cell(document: Document, now: float) -> str:
            del now
            containers = at(document, f"{template}.spec.containers") or ()
            return ",".join(container.get(attribute, "") for container in containers)

        return cell

    columns = (
        Column("Containers", listed("name"), wide=True),
        Column("Images", listed("image"), wide=True),
    )
    if selecting is None:
        return columns
    return (*columns, Column("Selector", selecting, wide=True))
