"""The columns that a CustomResourceDefinition asks for."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from typing_extensions import override

from pilothouse.services.apiserver.crds.columns import text_of, value_of
from pilothouse.services.apiserver.kinds.custom import Custom, PrinterColumn
from pilothouse.services.apiserver.rest.tables import ages
from pilothouse.services.apiserver.rest.tables.column import NAME, Column, Document

INVALID = "<invalid>"


@dataclass(frozen=True, slots=True)
class Asked(Column):
    """A column with a description, and a priority that may be any number."""

    description: str = ""
    priority: int = 0

    @override
    def definition(self) -> dict[str, Any]:
        """The ``TableColumnDefinition`` of the wire."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


def columns(custom: Custom) -> tuple[Column, ...]:
    """The name, and what the definition adds."""
    return (NAME, *(_column(asked) for asked in custom.columns))


def _column(asked: PrinterColumn) -> Asked:
    return Asked(
        asked.name,
        partial(_cell, asked),
        type=asked.type,
        format=asked.format,
        wide=asked.priority > 0,
        description=text_of(asked),
        priority=asked.priority,
    )


def _cell(asked: PrinterColumn, document: Document, now: float) -> Any:
    value = value_of(asked, document)
    if asked.type == "date" and value not in (None, INVALID):
        return ages.since(value, now)
    return value
