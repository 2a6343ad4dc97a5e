"""What an admission step sees."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.requests import Stored, User
from pilothouse.services.machinery.errors import Forbidden
from pilothouse.services.machinery.objects import Key

Document = dict[str, Any]


class Live(Protocol):
    """The live objects of any kind, as the cache has them now."""

    def find(self, group: str, plural: str, key: Key) -> Stored | None: ...
    def objects(self, group: str, plural: str, namespace: str = "") -> Sequence[Stored]: ...


@dataclass(frozen=True, slots=True)
class Admission:
    """One object about to be created, or changed when there is an ``old`` one.

    ``suffix`` gives the end of a generated name. ``subresource`` names the part that is written,
    empty for the object itself. ``warnings`` collects what the client is told.
    """

    user: User
    kind: Kind
    key: Key
    document: Document
    live: Live
    suffix: str = ""
    old: Document | None = None
    subresource: str = ""
    warnings: list[str] = field(default_factory=list)

    def forbidden(self, why: str) -> Forbidden:
        """The refusal of a step, about this object."""
        kind, name = self.kind, self.key.name
        return Forbidden(
            f'{kind.qualified} "{name}" is forbidden: {why}', subject=kind.subject(name)
        )
