"""Every kind's cache, fed by one watch of the store."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

import msgspec

from pilothouse.services.apiserver.cache.items import Item
from pilothouse.services.apiserver.cache.kindcache import KindCache
from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.kinds.fields import extractor
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.ports import Storage
from pilothouse.services.apiserver.requests import Stored
from pilothouse.services.machinery.errors import ApiError, Cause, ServiceUnavailable, Timeout
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.storage import (
    Change,
    Compacted,
    Entry,
    Progress,
    Unavailable,
)
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

PREFIX = b"/registry/"
DEFINITIONS = b"/registry/customresourcedefinitions/"
RETRY_SECONDS = 0.2
FUTURE_SECONDS_MAX = 3.0
"""How long a reader waits for a revision that is not here yet."""
BATCH_MAX = 100
"""Changes after which the watchers get a turn before the next ones come."""
PROGRESS_SECONDS = 0.15
"""When the watch is asked how far it is: what is waited for may be no change of ours."""


class Cache:
    """All live objects. :meth:`load` once, then :meth:`run` for as long as the server lives."""

    def __init__(self, storage: Storage, catalog: Catalog, clock: Clock) -> None:
        self.applied = 0
        self.compacted = 0
        """The revision before which nobody may list, though it may still be known here."""
        self._storage = storage
        self._catalog = catalog
        self._clock = clock
        self._kinds: dict[str, KindCache] = {}
        self._waiters: dict[asyncio.Future[None], int] = {}
        self._rounds = _Rounds(storage)
        self._turn = 0
        self._log = telemetry.logger(part="cache")
        for kind in catalog.all():
            self.add(kind)

    def add(self, kind: Kind) -> None:
        """Hold the objects of ``kind``, unless they rest as another kind's.

        Those of a custom kind that is held already are shown as ``kind`` has them from now on.
        """
        if not kind.persistent or kind.stored_as:
            return
        held = self._kinds.get(kind.place)
        if held is not None and (kind.custom is None or held.kind is kind):
            return
        made = self._kinds[kind.place] = KindCache(kind, extractor(kind))
        for item in () if held is None else held.items():
            stored = item.stored
            stale = item.stale or not made.encoding.is_own(stored.json)
            made.load(stored.key, made.encoding.bare(stored.json), stored.revision, stale=stale)
        if held is not None:
            held.dismiss(over=True)
        made.history.since = self.applied
        made.revision = max(self.applied, 1)

    def remove(self, kind: Kind) -> None:
        """Hold the objects of ``kind`` no longer; whoever watches them is told that it is over."""
        held = self._kinds.pop(kind.place, None)
        if held is not None:
            held.dismiss(over=True)

    def of(self, kind: Kind) -> KindCache:
        """Where objects of ``kind`` rest."""
        return self._kinds[kind.place]

    def find(self, group: str, plural: str, key: Key) -> Stored | None:
        """The object of that key, if it is there."""
        item = self._named(group, plural).get(key)
        return None if item is None else item.stored

    def objects(self, group: str, plural: str, namespace: str = "") -> Sequence[Stored]:
        """Every object of the kind, or of one namespace, by name."""
        return self._named(group, plural).items(namespace).stored

    def mark(self, group: str, plural: str) -> int:
        """The revision of the kind's last change."""
        return self._named(group, plural).revision

    def _named(self, group: str, plural: str) -> KindCache:
        found = self._kinds.get(plural)
        return (
            found
            if found is not None and found.kind.group == group
            else self._kinds[f"{group}/{plural}"]
        )

    async def load(self) -> None:
        """Read the whole state once, before the first request."""
        entries, revision = await self._storage.load(PREFIX)
        for entry in _definitions_first(entries):
            found = self._resolve(entry.key)
            if found is not None:
                kind, key = found
                with self._told(entry.key):
                    stored = kind.load(key, entry.value, entry.mod_revision)
                    kind.encoding.share(entry, stored.json)
        for kind in self._kinds.values():
            kind.history.since = revision
            kind.revision = max(kind.revision, 1)
        self.applied = revision

    async def run(self) -> None:
        """Follow the store until cancelled; what it forgot meanwhile is read anew."""
        lost = False
        while True:
            try:
                if lost:
                    await self._reload()
                    lost = False
                async for batch in self._storage.watch(PREFIX, self.applied):
                    if isinstance(batch, Progress):
                        self._advance(max(batch.revision, self.applied))
                    else:
                        self._apply(batch)
                        if len(batch) > BATCH_MAX:
                            # Readers take what they got before they are given more.
                            await asyncio.sleep(0)
            except Compacted:
                lost = True
                continue
            except (ApiError, Unavailable) as error:
                self._log.warning("store does not answer", error=str(error))
            await self._clock.sleep(RETRY_SECONDS)

    async def wait_applied(self, revision: int, seconds_max: float | None = None) -> None:
        """Until every change up to ``revision`` is visible; Timeout after ``seconds_max``."""
        if self.applied >= revision:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[future] = revision
        try:
            async with asyncio.timeout(seconds_max):
                await future
        except TimeoutError:
            raise Timeout(
                f"Timeout: Too large resource version: {revision}, current: {self.applied}",
                causes=[Cause("", "Too large resource version", "ResourceVersionTooLarge")],
                retry_after_seconds=1,
            ) from None
        finally:
            # Who waited for what never comes must not stay.
            self._waiters.pop(future, None)

    async def wait_fresh(self, revision: int | None = None) -> None:
        """Until all that anybody was told is written is visible here, or all up to ``revision``.

        Raises:
            ServiceUnavailable: the store does not say what is newest.
            Timeout: its changes do not come.
        """
        if revision is None:
            revision = self._storage.newest()
        try:
            if revision is None:
                revision = await self._rounds.newest()
            if revision > self.applied:
                await self._wait_progress(revision)
        except Unavailable as error:
            raise ServiceUnavailable(str(error), retry_after_seconds=1) from None

    async def history(self, kind: Kind, revision: int) -> list[Item]:
        """Every object of ``kind`` as it was at ``revision``, by key, read from the store.

        Raises:
            Compacted: that is forgotten.
            ServiceUnavailable: the store does not answer.
        """
        objects = self.of(kind)
        prefix = f"/registry/{kind.place}/".encode()
        try:
            entries, _ = await self._storage.load(prefix, revision)
        except Unavailable as error:
            raise ServiceUnavailable(str(error), retry_after_seconds=1) from None
        items = []
        for entry in entries:
            found = self._resolve(entry.key)
            if found is not None and found[0] is objects:
                with self._told(entry.key):
                    items.append(objects.item(found[1], entry.value, entry.mod_revision))
        return items

    async def _wait_progress(self, revision: int) -> None:
        with contextlib.suppress(Timeout):
            await self.wait_applied(revision, PROGRESS_SECONDS)
            return
        await self._storage.progress()
        await self.wait_applied(revision, FUTURE_SECONDS_MAX)

    def _apply(self, batch: Sequence[Change]) -> None:
        self._turn += 1
        for change in batch:
            found = self._resolve(change.key)
            if found is None:
                continue
            kind, key = found
            if change.entry is None:
                kind.drop(key, change.revision, self._turn)
                continue
            with self._told(change.key):
                kind.put(key, change.entry, self._turn)
        if batch:
            self._advance(batch[-1].revision)

    def _advance(self, revision: int) -> None:
        self.applied = revision
        for future, wanted in self._waiters.items():
            if wanted <= revision and not future.done():
                future.set_result(None)

    async def _reload(self) -> None:
        """Changes were missed: bring the state up, and have every watcher list again."""
        entries, revision = await self._storage.load(PREFIX)
        self._log.warning("changes were missed, state read anew", revision=revision)
        for kind in self._kinds.values():
            kind.dismiss()
        self._replace(entries, revision)
        for kind in self._kinds.values():
            kind.history.since = revision
        self._advance(revision)

    def _replace(self, entries: Sequence[Entry], revision: int) -> None:
        seen: dict[KindCache, set[Key]] = {kind: set() for kind in self._kinds.values()}
        for entry in _definitions_first(entries):
            found = self._resolve(entry.key)
            if found is None:
                continue
            kind, key = found
            seen.setdefault(kind, set()).add(key)
            item = kind.get(key)
            if item is None or item.stored.revision != entry.mod_revision:
                with self._told(entry.key):
                    kind.put(key, entry)
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
        """``/registry/<plural>/[<namespace>/]<name>``, or ``/registry/<group>/<plural>/…``."""
        parts = path[len(PREFIX) :].decode(errors="replace").split("/")
        kind = self._kinds.get(parts[0])
        if kind is None and len(parts) > 2:  # noqa: PLR2004 - a group, a plural and a name
            kind = self._kinds.get(f"{parts[0]}/{parts[1]}")
            del parts[0]
        if kind is None or len(parts) != (3 if kind.kind.namespaced else 2):
            return None
        return kind, Key(parts[1] if kind.kind.namespaced else "", parts[-1])


class _Rounds:
    """Asks the store what is newest, once for all who came before it was asked."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lock = asyncio.Lock()
        self._begun = 0
        self._answered = 0
        self._newest = 0
        self._refused = ""

    async def newest(self) -> int:
        """The newest revision, at some moment after the call.

        Raises:
            Unavailable: the store does not say; then to none of those who waited for it.
        """
        came = self._begun
        async with self._lock:
            if self._answered <= came:
                self._begun += 1
                round_ = self._begun
                try:
                    self._newest, self._refused = await self._storage.revision(), ""
                except Unavailable as error:
                    self._refused = str(error)
                self._answered = round_
            if self._refused:
                raise Unavailable(self._refused)
            return self._newest


def storage_key(kind: Kind, key: Key) -> bytes:
    """Where an object of ``kind`` rests."""
    inner = f"{key.namespace}/{key.name}" if kind.namespaced else key.name
    return f"/registry/{kind.place}/{inner}".encode()


def _definitions_first(entries: Sequence[Entry]) -> list[Entry]:
    """Custom objects can be read only when it is known what they are."""
    return sorted(entries, key=lambda entry: not entry.key.startswith(DEFINITIONS))
