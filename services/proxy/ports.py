"""What the proxy needs of the world."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from pilothouse.services.machinery.kinds.services import EndpointSlice, Service
from pilothouse.services.machinery.objects import Key
from pilothouse.services.proxy.changes import Change
from pilothouse.services.proxy.contents import Contents
from pilothouse.services.proxy.routes import Plan, Route
from pilothouse.services.proxy.rules import Backend


class Refused(Exception):
    """The kernel did not take it: what there is now may be neither the old nor the new."""


class Services(Protocol):
    """The cluster's Services and their endpoints, as last seen."""

    def keys(self) -> Collection[Key]: ...

    def service(self, key: Key) -> Service | None: ...

    def slices(self, key: Key) -> Sequence[EndpointSlice]: ...

    async def wait_changed(self) -> set[Key]:
        """Until something changed; the Services that did since the last call."""


class Kernel(Protocol):
    """The table. Every packet meets it as it was or as it is to be; raises :class:`Refused`."""

    async def load(self, contents: Contents) -> None:
        """Make the table exactly this, whatever was in it."""

    async def change(self, change: Change) -> None:
        """Apply a difference to the table as it was loaded and changed so far."""


class Flows(Protocol):
    """Connections that the kernel tracks."""

    async def forget(self, backends: Iterable[Backend]) -> None:
        """Drop UDP flows towards these: they would be translated to them for ever."""


class Routes(Protocol):
    """The node's routes that carry our mark."""

    async def installed(self) -> Sequence[Route]: ...

    async def apply(self, plan: Plan) -> None:
        """Raises :class:`Refused`."""
