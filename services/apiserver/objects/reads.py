"""Get, list and watch: the bytes that are kept, to everybody who may see them."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from pilothouse.services.apiserver.cache.cache import Cache
from pilothouse.services.apiserver.cache.items import Item
from pilothouse.services.apiserver.cache.kindcache import KindCache, place
from pilothouse.services.apiserver.cache.listed import Listed
from pilothouse.services.apiserver.cache.selection import Selection, parse_selection
from pilothouse.services.apiserver.cache.watching import Ended, Watcher
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects import refusals
from pilothouse.services.apiserver.objects.conversion import serve
from pilothouse.services.apiserver.objects.pages import (
    Page,
    check_watch,
    expired,
    parse_page,
    parse_revision,
    token,
)
from pilothouse.services.apiserver.objects.served import Kinds, Served
from pilothouse.services.apiserver.requests import (
    Listing,
    ReadOptions,
    Stored,
    Target,
    WatchEvent,
)
from pilothouse.services.machinery.errors import BadRequest, Expired
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.storage import Compacted

BOOKMARK_SECONDS = 60.0
LAST_BOOKMARK_SECONDS = 2.0
"""So long before the end of a watch its reader is told once more how far it is."""

_NOBODY = Key("", "")


class Reads:
    """The reading half of the request path, after authorization."""

    def __init__(self, kinds: Kinds, cache: Cache) -> None:
        self._kinds = kinds
        self._cache = cache

    async def get(self, kind: Kind, target: Target, resource_version: str = "") -> Stored:
        """One object: the newest, or what is here if that is not older than a revision."""
        await self._cache.wait_fresh(parse_revision(resource_version) if resource_version else None)
        item = self._kinds.served(kind).objects.get(target.key)
        if item is None:
            raise refusals.not_found(kind, target.name)
        return serve(kind, item.stored)

    async def list(self, kind: Kind, target: Target, options: ReadOptions) -> Listing:
        """A page of what the options select."""
        page = parse_page(options)
        selection = _selection(kind, target, options)
        items, revision = await self._items(self._kinds.served(kind), selection, page)
        above = f"{target.namespace}/" if kind.namespaced and target.namespace else ""
        if page.start:
            items = items[bisect_left(items, above + page.start, key=place) :]
        rest = len(items) - page.limit if page.limit > 0 else 0
        if rest <= 0:
            if isinstance(items, Listed) and not kind.stored_as:
                return Listing(items.stored, revision, texts=items.texts, size=items.size)
            return Listing(_serve(kind, items), revision)
        items = items[: page.limit]
        return Listing(
            _serve(kind, items),
            revision,
            token(revision, place(items[-1]).removeprefix(above) + "\0"),
            None if selection.selects else rest,
        )

    async def watch(
        self, kind: Kind, target: Target, options: ReadOptions
    ) -> AsyncGenerator[Sequence[WatchEvent], None]:
        """Batches of changes; the first, mostly empty one, says that the watch stands."""
        check_watch(options)
        selection = _selection(kind, target, options)
        objects = self._kinds.served(kind).objects
        revision = parse_revision(options.resource_version)
        initial = options.send_initial_events
        if initial is None:
            initial = not revision
        first: list[WatchEvent] = []
        if initial or not revision:
            await self._cache.wait_fresh(revision if options.resource_version else None)
            if initial:
                first = _present(objects, selection)
                if options.allow_bookmarks and options.send_initial_events:
                    first.append(_bookmark(self._cache.applied, initial_end=True))
            watcher = objects.audience.open(selection, self._cache.applied)
        else:
            watcher = objects.audience.open(selection, revision, objects.history.after(revision))
        try:
            yield _served(kind, first)
            async for batch in self._follow(watcher, options):
                yield _served(kind, batch)
        except Ended:
            return
        finally:
            objects.audience.remove(watcher)

    async def _items(
        self, served: Served, selection: Selection, page: Page
    ) -> tuple[Sequence[Item], int]:
        """What is selected, by place, and the revision at which that is true."""
        await self._cache.wait_fresh(page.revision)
        revision = page.revision
        if revision is None or not page.exact:
            return served.objects.select(selection), self._cache.applied
        if revision < self._cache.compacted:
            raise expired(page)
        try:
            return served.objects.select_at(selection, revision), revision
        except Expired:
            # Older than what is kept here: the store may know.
            pass
        try:
            found = await self._cache.history(served.rests, revision)
        except Compacted:
            raise expired(page) from None
        return [item for item in found if selection.matches(item)], revision

    async def _follow(
        self, watcher: Watcher, options: ReadOptions
    ) -> AsyncIterator[Sequence[WatchEvent]]:
        loop = asyncio.get_running_loop()
        now = loop.time()
        end = now + options.timeout_seconds if options.timeout_seconds else None
        bookmark = _next_bookmark(now, end) if options.allow_bookmarks else None
        while end is None or now < end:
            until = end if bookmark is None else bookmark
            try:
                async with asyncio.timeout_at(until):
                    await watcher.wait()
            except TimeoutError:
                pass
            now = loop.time()
            events = watcher.take()
            if bookmark is not None and now >= bookmark:
                events = [*events, _bookmark(self._cache.applied)]
                bookmark = _next_bookmark(now, end)
            if events:
                yield events


def _next_bookmark(now: float, end: float | None) -> float | None:
    """When a reader is told next how far it is: after a minute, and shortly before the end."""
    due = now + BOOKMARK_SECONDS
    if end is not None and end - LAST_BOOKMARK_SECONDS < due:
        due = end - LAST_BOOKMARK_SECONDS
    return due if due > now else None


def _selection(kind: Kind, target: Target, options: ReadOptions) -> Selection:
    fields = options.field_selector
    namespace = target.namespace if kind.namespaced else ""
    selection = parse_selection(kind, namespace, options.label_selector, fields)
    if not target.name:
        return selection
    if fields and selection.name != target.name:
        raise BadRequest("fieldSelector metadata.name doesn't match requested name")
    fields = f"metadata.name={target.name}"
    return parse_selection(kind, namespace, options.label_selector, fields)


def _present(objects: KindCache, selection: Selection) -> list[WatchEvent]:
    return [WatchEvent("ADDED", item.stored) for item in objects.select(selection)]


def _bookmark(revision: int, *, initial_end: bool = False) -> WatchEvent:
    return WatchEvent("BOOKMARK", Stored(_NOBODY, revision, b""), initial_end)


def _serve(kind: Kind, items: Sequence[Item]) -> list[Stored]:
    if not kind.stored_as:
        return [item.stored for item in items]
    return [serve(kind, item.stored) for item in items]


def _served(kind: Kind, events: Sequence[WatchEvent]) -> Sequence[WatchEvent]:
    if not kind.stored_as:
        return events
    return [
        WatchEvent(event.type, serve(kind, event.object), event.initial_end) for event in events
    ]
