"""Every kind's cache, fed by one watch of the store."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from pilothouse.services.apiserver.cache.kindcache import KindCache
from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.kinds.fields import extractor
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.ports import Storage
from pilothouse.services.apiserver.requests import Stored
from pilothouse.services.machinery.errors import Timeout
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.storage import Change, Compacted, Entry, Unavailable
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

PREFIX = b"/registry/"
RETRY_SECONDS = 0.2


class Cache:
    """All live objects. :meth:`load` once, then :meth:`run` for as long as the server lives."""

    def __init__(self, storage: Storage, catalog: Catalog, clock: Clock) -> None:
        self.applied = 0
        self._storage = storage
        self._catalog = catalog
        self._clock = clock
        self._kinds: dict[str, KindCache] = {}
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._log = telemetry.logger(part="cache")
        for kind in catalog.all():
            self.add(kind)

    def add(self, kind: Kind) -> None:
        """Hold the objects of ``kind``, unless they rest as another kind's."""
        if kind.persistent and not kind.stored_as and kind.plural not in self._kinds:
            self._kinds[kind.plural] = KindCache(kind, extractor(kind))

    def of(self, kind: Kind) -> KindCache:
        """Where objects of ``kind`` rest."""
        return self._kinds[kind.plural]

    def find(self, group: str, plural: str, key: Key) -> Stored | None:
        """The object of that key, if it is there."""
        item = self._named(group, plural).get(key)
        return None if item is None else item.stored

    def objects(self, group: str, plural: str) -> Iterable[Stored]:
        """Every object of the kind."""
        return [item.stored for item in self._named(group, plural).items()]

    def mark(self, group: str, plural: str) -> int:
        """The revision of the kind's last change."""
        return self._named(group, plural).revision

    def _named(self, group: str, plural: str) -> KindCache:
        found = self._kinds[plural]
        if found.kind.group != group:
            raise KeyError(f"{plural}.{group}")
        return found

    async def load(self) -> None:
        """Read the whole state once, before the first request."""
        entries, revision = await self._storage.load(PREFIX)
        for entry in entries:
            found = self._resolve(entry.key)
            if found is not None:
                with self._told(entry.key):
                    found[0].load(found[1], entry.value, entry.mod_revision)
        for kind in self._kinds.values():
            kind.history.since = revision
            kind.revision = max(kind.revision, 1)
        self.applied = revision

    async def run(self) -> None:
        """Follow the store until cancelled; what it forgot meanwhile is read anew."""
        while True:
            try:
                async for batch in self._storage.watch(PREFIX, self.applied):
                    self._apply(batch)
            except Compacted:
                await self._reload()
            except Unavailable as error:
                self._log.warning("store does not answer", error=str(error))
            await self._clock.sleep(RETRY_SECONDS)

    async def wait_applied(self, revision: int, seconds_max: float | None = None) -> None:
        """Until every change up to ``revision`` is visible; Timeout after ``seconds_max``."""
        if self.applied >= revision:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((revision, future))
        try:
            async with asyncio.timeout(seconds_max):
                await future
        except TimeoutError:
            raise Timeout(
                f"Too large resource version: {revision}, current: {self.applied}",
                retry_after_seconds=1,
            ) from None

    def _apply(self, batch: Sequence[Change]) -> None:
        for change in batch:
            found = self._resolve(change.key)
            if found is None:
                continue
            kind, key = found
            if change.entry is None:
                kind.drop(key, change.revision)
                continue
            with self._told(change.key):
                kind.put(key, change.entry.value, change.revision)
        if batch:
            self._advance(batch[-1].revision)

    def _advance(self, revision: int) -> None:
        self.applied = revision
        waiting = []
        for waiter in self._waiters:
            if waiter[0] > revision:
                waiting.append(waiter)
            elif not waiter[1].done():
                waiter[1].set_result(None)
        self._waiters = waiting

    async def _reload(self) -> None:
        """Changes were missed: bring the state up, and have every watcher list again."""
        entries, revision = await self._storage.load(PREFIX)
        self._log.warning("changes were missed, state read anew", revision=revision)
        for kind in self._kinds.values():
            kind.expire_watchers()
        self._replace(entries, revision)
        for kind in self._kinds.values():
            kind.history.since = revision
        self._advance(revision)

    def _replace(self, entries: Sequence[Entry], revision: int) -> None:
        seen: dict[KindCache, set[Key]] = {kind: set() for kind in self._kinds.values()}
        for entry in entries:
            found = self._resolve(entry.key)
            if found is None:
                continue
            kind, key = found
            seen[kind].add(key)
            item = kind.get(key)
            if item is None or item.stored.revision != entry.mod_revision:
                with self._told(entry.key):
                    kind.put(key, entry.value, entry.mod_revision)
        for kind, present in seen.items():
            for key in kind.keys() - present:
                kind.drop(key, revision)

    @contextlib.contextmanager
    def _told(self, path: bytes) -> Iterator[None]:
        """Pass over, and tell of, a value that somebody else wrote and that is no object."""
        try:
            yield
        except msgspec.MsgspecError as error:
            self._log.error("not an object", key=path.decode(errors="replace"), error=str(error))

    def _resolve(self, path: bytes) -> tuple[KindCache, Key] | None:
        """``/registry/<plural>/[<namespace>/]<name>``."""
        parts = path[len(PREFIX) :].decode(errors="replace").split("/")
        kind = self._kinds.get(parts[0])
        if kind is None or len(parts) != (3 if kind.kind.namespaced else 2):
            return None
        return kind, Key(parts[1] if kind.kind.namespaced else "", parts[-1])


def storage_key(kind: Kind, key: Key) -> bytes:
    """Where an object of ``kind`` rests."""
    inner = f"{key.namespace}/{key.name}" if kind.namespaced else key.name
    return f"/registry/{kind.plural}/{inner}".encode()
