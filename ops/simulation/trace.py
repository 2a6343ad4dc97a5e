"""What happened in a run, for eyes and for comparison."""

import hashlib
from collections.abc import Sequence
from typing import Any

from pilothouse.ops.simulation.loop import VirtualLoop
from pilothouse.services.machinery.storage import Change

QUIET = ("leases", "events")


_MANY = ("patches", "creations")
"""Fields of messages that carry several requests."""


def parts_of(request: Any) -> Sequence[Any]:
    """The single writes in a message."""
    return next((getattr(request, name) for name in _MANY if hasattr(request, name)), (request,))


class Trace:
    """Lines with their virtual second, and the hash of every commit."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.lines: list[str] = []
        self.writes = 0
        self._loop = loop
        self._hash = hashlib.sha256()

    def say(self, text: str) -> None:
        """One line."""
        self.lines.append(f"{self._loop.time():10.3f}  {text}")

    def call(self, caller: str, method: str, request: Any) -> None:
        """A write leaves its caller."""
        for one in parts_of(request):
            plural = one.resource.resource
            if plural not in QUIET:
                where = "/".join(
                    filter(None, (one.namespace, one.name, getattr(one, "subresource", "")))
                )
                body = getattr(one, "json", "") if method != "Create" else ""
                self.say(f"{caller} {method} {plural} {where} {body}".rstrip())

    def commit(self, changes: Sequence[Change]) -> None:
        """Changes that are safe from now on."""
        self.writes += len(changes)
        for change in changes:
            value = b"" if change.entry is None else change.entry.value
            self._hash.update(b"%s %f %d\n" % (change.key, self._loop.time(), len(value)))
            self._hash.update(value)
            key = change.key.decode().removeprefix("/registry/")
            if not key.startswith(QUIET):
                what = "gone" if change.entry is None else f"at {change.revision}"
                self.say(f"        {key} {what}")

    @property
    def digest(self) -> str:
        """The same for two runs that wrote the same at the same time, in the same order."""
        return self._hash.hexdigest()
