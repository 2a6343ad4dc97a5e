"""The one writer: groups of staged changes go to the journal together, then to readers.

::

    stage -> append to the pending group -> [journal.append: one transaction, one fsync]
          -> settle (readers see it) -> publish (watchers) -> acknowledge (waiters)

While one group is on its way to the disk the next one gathers. A group that fails acknowledges
nothing, and the store takes no writes any more: the tip holds changes that the disk does not.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from pilothouse.services.machinery.storage import Change, Unavailable
from pilothouse.services.runtime import telemetry
from pilothouse.services.store.ports import Journal, StoredLease
from pilothouse.services.store.revisions import Revisions


class _Group:
    __slots__ = ("changes", "leases", "waiters")

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.leases: dict[int, StoredLease | None] = {}
        self.waiters: list[asyncio.Future[None]] = []


class Writer:
    """Group commit over a journal. Only the event loop's thread calls it."""

    def __init__(
        self,
        journal: Journal,
        revisions: Revisions,
        publish: Callable[[Sequence[Change]], None],
    ) -> None:
        self._journal = journal
        self._revisions = revisions
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._pending = _Group()
        self._in_flight = False
        self._wake = asyncio.Event()
        self._failure: Unavailable | None = None
        self._draining = False

    def append(self, change: Change) -> "asyncio.Future[None]":
        """One staged change joins the pending group; the future is done when it is durable."""
        self._pending.changes.append(change)
        return self._wait()

    def append_all(
        self, changes: Iterable[Change], leases: Iterable[StoredLease | int] = ()
    ) -> "asyncio.Future[None]":
        """The staged changes of one transaction, leases as they are now, and ids of gone ones."""
        self._pending.changes.extend(changes)
        for lease in leases:
            if isinstance(lease, int):
                self._pending.leases[lease] = None
            else:
                self._pending.leases[lease.id] = lease
        return self._wait()

    def note(self, lease: StoredLease) -> None:
        """A lease goes to the disk with the group that gathers now."""
        self._pending.leases[lease.id] = lease

    async def settled(self) -> None:
        """Return when all that is staged now is durable."""
        self.check()
        if self._in_flight or self._pending.waiters or self._pending.leases:
            await self._wait()

    def check(self) -> None:
        """Raise Unavailable when the store takes no writes."""
        if self._failure is not None:
            raise self._failure
        if self._draining:
            raise Unavailable("the store is closing")

    async def run(self) -> None:
        """Commit groups until drained or the first failure."""
        while not (self._draining and not self._pending.waiters):
            await self._wake.wait()
            self._wake.clear()
            if not self._pending.waiters:
                continue
            group, self._pending = self._pending, _Group()
            self._in_flight = True
            try:
                if group.changes or group.leases:
                    await self._journal.append(group.changes, group.leases)
            except Exception as error:  # noqa: BLE001 - whatever it was, nothing is durable
                self._fail(group, error)
                return
            self._in_flight = False
            self._acknowledge(group)
            # Let those who were acknowledged write again before the next group leaves.
            await asyncio.sleep(0)

    def drain(self) -> None:
        """Take no new writes; ``run`` ends when those already taken are durable."""
        self._draining = True
        self._wake.set()

    def _wait(self) -> "asyncio.Future[None]":
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._pending.waiters.append(waiter)
        self._wake.set()
        return waiter

    def _acknowledge(self, group: _Group) -> None:
        if group.changes:
            self._revisions.settle(group.changes)
            self._publish(group.changes)
        for waiter in group.waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _fail(self, group: _Group, error: Exception) -> None:
        telemetry.logger().critical("commit failed: the store takes no writes", exc_info=error)
        self._failure = Unavailable(f"the store could not write and is closed for writes: {error}")
        self._in_flight = False
        for waiter in group.waiters + self._pending.waiters:
            if not waiter.done():
                waiter.set_exception(self._failure)
                # The writer may have gone meanwhile; its exception need not be fetched.
                waiter.exception()
