"""Objects to ``meta.k8s.io/v1`` Tables."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

from pilothouse.services.apiserver.kinds.custom import Custom
from pilothouse.services.apiserver.rest.tables import pods
from pilothouse.services.apiserver.rest.tables.column import Column, Document
from pilothouse.services.apiserver.rest.tables.columns import columns_of
from pilothouse.services.apiserver.rest.tables.custom import columns

Include: TypeAlias = Literal["None", "Metadata", "Object"]


class Printer:
    """Prints one kind's objects as rows."""

    def __init__(
        self, group: str, plural: str, include: Include = "Metadata", custom: Custom | None = None
    ) -> None:
        self._columns: Sequence[Column] = (
            columns_of(group, plural) if custom is None else columns(custom)
        )
        self._include = include
        self._pods = (group, plural) == ("", "pods")

    def table(
        self, documents: Iterable[Document], metadata: Document, now: float, *, headed: bool = True
    ) -> dict[str, Any]:
        """A Table of these objects; ``metadata`` is the list's, ``now`` seconds since 1970."""
        table: dict[str, Any] = {"kind": "Table", "apiVersion": "meta.k8s.io/v1"}
        table["metadata"] = metadata
        if headed:
            table["columnDefinitions"] = [column.definition() for column in self._columns]
        else:
            # Clients keep the definitions of the first event of a watch.
            table["columnDefinitions"] = None
        table["rows"] = [self._row(document, now) for document in documents]
        return table

    def _row(self, document: Document, now: float) -> dict[str, Any]:
        row: dict[str, Any] = {"cells": [column.cell(document, now) for column in self._columns]}
        if self._pods and (conditions := pods.row_conditions(document)):
            row["conditions"] = conditions
        if self._include == "Object":
            row["object"] = document
        elif self._include == "Metadata":
            row["object"] = partial(document)
        return row


def partial(document: Document) -> dict[str, Any]:
    """The ``PartialObjectMetadata`` of an object."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": document.get("metadata") or {},
    }
