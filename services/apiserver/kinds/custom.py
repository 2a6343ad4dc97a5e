"""What a kind brings along that a CustomResourceDefinition has defined."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pilothouse.services.machinery.errors import Cause

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where a custom object keeps what its Scale shows; ``selector`` is empty when nowhere."""

    spec_replicas: tuple[str, ...]
    status_replicas: tuple[str, ...]
    selector: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PrinterColumn:
    """One of ``additionalPrinterColumns``."""

    name: str
    type: str
    path: str
    format: str = ""
    description: str = ""
    priority: int = 0


class Treatment(Protocol):
    """What the schema of one version does to an object, and says of it."""

    def settle(self, document: Document) -> list[str]:
        """Default and prune in place; the fields that were dropped, their paths as text."""

    def fit(self, document: Document) -> bool:
        """The same for an object that is stored already; whether it had to be changed."""

    def trim(self, document: Document) -> bool:
        """Prune what is stored under another version's schema; whether it was changed."""

    def shown(self, json: bytes, api_version: str) -> bytes:
        """What is stored under another version, as readers of this one get it."""

    def check(self, document: Document) -> list[Cause]:
        """What is wrong with a new object."""

    def check_update(self, document: Document, old: Document) -> list[Cause]:
        """What is wrong with a changed object, that was not wrong before where it is the same."""

    def check_status(self, document: Document, old: Document) -> list[Cause]:
        """What is wrong with a written status."""


@dataclass(frozen=True)
class Custom:
    """``has_status`` and ``scale`` name its subresources; ``fields`` its selectable fields, by
    label, and ``paths`` those of all versions, which share what is stored. ``warnings`` go with
    every answer of a deprecated version. While ``terminating``, nothing new is created.
    """

    treatment: Treatment
    columns: tuple[PrinterColumn, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    has_status: bool = False
    scale: ScalePaths | None = None
    warnings: tuple[str, ...] = ()
    terminating: bool = False
