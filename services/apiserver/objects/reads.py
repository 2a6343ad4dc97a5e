"""Get, list and watch: the bytes that are kept, to everybody who may see them."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence

from pilothouse.services.apiserver.cache.cache import Cache
from pilothouse.services.apiserver.cache.items import Item
from pilothouse.services.apiserver.cache.kindcache import KindCache
from pilothouse.services.apiserver.cache.selection import Selection, parse_selection
from pilothouse.services.apiserver.cache.watching import Watcher
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects import refusals
from pilothouse.services.apiserver.objects.conversion import serve
from pilothouse.services.apiserver.objects.pages import (
    check_initial,
    parse_page,
    parse_revision,
    token,
)
from pilothouse.services.apiserver.objects.served import Kinds
from pilothouse.services.apiserver.requests import (
    Listing,
    ReadOptions,
    Stored,
    Target,
    WatchEvent,
)
from pilothouse.services.machinery.errors import Expired
from pilothouse.services.machinery.objects import Key

FUTURE_SECONDS_MAX = 3.0
"""How long a reader waits for a revision that is not here yet."""

BOOKMARK_SECONDS = 60.0

_NOBODY = Key("", "")


class Reads:
    """The reading half of the request path, after authorization."""

    def __init__(self, kinds: Kinds, cache: Cache) -> None:
        self._kinds = kinds
        self._cache = cache

    def get(self, kind: Kind, target: Target) -> Stored:
        """One object."""
        item = self._kinds.served(kind).objects.get(target.key)
        if item is None:
            raise refusals.not_found(kind, target.name)
        return serve(kind, item.stored)

    async def list(self, kind: Kind, target: Target, options: ReadOptions) -> Listing:
        """A page of what the options select."""
        page = parse_page(options)
        selection = _selection(kind, target, options)
        objects = self._kinds.served(kind).objects
        if page.revision is not None:
            await self._cache.wait_applied(page.revision, FUTURE_SECONDS_MAX)
        revision = self._cache.applied
        if page.exact and page.revision is not None:
            revision = page.revision
            items = _select_at(objects, selection, revision)
        else:
            items = objects.select(selection)
        if page.after is not None:
            after = (page.after.namespace, page.after.name)
            items = items[bisect_right(items, after, key=_place) :]
        rest = len(items) - options.limit if options.limit > 0 else 0
        if rest <= 0:
            return Listing(_serve(kind, items), revision)
        items = items[: options.limit]
        return Listing(
            _serve(kind, items),
            revision,
            token(revision, items[-1].key),
            None if selection.selects else rest,
        )

    async def watch(
        self, kind: Kind, target: Target, options: ReadOptions
    ) -> AsyncIterator[Sequence[WatchEvent]]:
        """Batches of changes; the first, mostly empty one, says that the watch stands."""
        check_initial(options)
        selection = _selection(kind, target, options)
        objects = self._kinds.served(kind).objects
        revision = parse_revision(options.resource_version)
        if options.send_initial_events or not revision:
            if revision:
                await self._cache.wait_applied(revision, FUTURE_SECONDS_MAX)
            first = _present(objects, selection)
            if options.send_initial_events:
                first.append(_bookmark(self._cache.applied, initial_end=True))
            watcher = objects.watch(selection, self._cache.applied)
        else:
            first = []
            watcher = objects.watch(selection, revision, objects.history.after(revision))
        try:
            yield _served(kind, first)
            async for batch in self._follow(watcher, options):
                yield _served(kind, batch)
        finally:
            objects.forget(watcher)

    async def _follow(
        self, watcher: Watcher, options: ReadOptions
    ) -> AsyncIterator[Sequence[WatchEvent]]:
        loop = asyncio.get_running_loop()
        end = loop.time() + options.timeout_seconds if options.timeout_seconds else None
        while end is None or loop.time() < end:
            pause = BOOKMARK_SECONDS if options.allow_bookmarks else None
            if end is not None:
                left = end - loop.time()
                pause = left if pause is None else min(left, pause)
            try:
                async with asyncio.timeout(pause):
                    await watcher.wait()
            except TimeoutError:
                if options.allow_bookmarks:
                    yield (_bookmark(self._cache.applied),)
                continue
            yield watcher.take()


def _selection(kind: Kind, target: Target, options: ReadOptions) -> Selection:
    fields = options.field_selector
    if target.name:
        fields = f"metadata.name={target.name}" + (f",{fields}" if fields else "")
    namespace = target.namespace if kind.namespaced else ""
    return parse_selection(kind, namespace, options.label_selector, fields)


def _select_at(objects: KindCache, selection: Selection, revision: int) -> list[Item]:
    try:
        return objects.select_at(selection, revision)
    except Expired:
        raise Expired(
            "The provided continue parameter is too old to display a consistent list result. "
            "You must start a new list without the continue parameter."
        ) from None


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


def _place(item: Item) -> tuple[str, str]:
    return item.key.namespace, item.key.name
