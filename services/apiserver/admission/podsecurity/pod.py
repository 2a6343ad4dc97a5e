"""A pod as the standards look at it, and the words they speak."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
_MEMBERS = ("initContainers", "containers", "ephemeralContainers")


@dataclass(frozen=True, slots=True)
class PodView:
    """The metadata and spec of a pod or of a template of pods."""

    metadata: Document
    spec: Document

    def containers(self) -> Iterator[Document]:
        """All of them, init containers first."""
        for member in _MEMBERS:
            yield from self.spec.get(member) or ()

    def contexts(self) -> Iterator[tuple[str, Document]]:
        """The name and the security context of each container."""
        for container in self.containers():
            yield container["name"], container.get("securityContext") or {}

    @property
    def context(self) -> Document:
        found: Document = self.spec.get("securityContext") or {}
        return found

    @property
    def annotations(self) -> dict[str, str]:
        found: dict[str, str] = self.metadata.get("annotations") or {}
        return found

    @property
    def windows(self) -> bool:
        return (self.spec.get("os") or {}).get("name") == "windows"

    @property
    def own_users(self) -> bool:
        """Whether it has a user namespace of its own."""
        return self.spec.get("hostUsers") is False


def quoted(items: Iterable[str]) -> str:
    """``"a", "b"``."""
    return ", ".join(f'"{item}"' for item in items)


def plural(word: str, items: Collection[str]) -> str:
    """The word for one thing or for several."""
    return word if len(items) == 1 else f"{word}s"
