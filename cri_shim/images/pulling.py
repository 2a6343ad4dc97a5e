"""Bring an image in: manifests, blobs, snapshots, names, in this order, under one lease."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from pilothouse.cri_shim.images import manifests
from pilothouse.cri_shim.images.chains import chain_ids
from pilothouse.cri_shim.images.credentials import Given
from pilothouse.cri_shim.images.hosts import Host
from pilothouse.cri_shim.images.library import Content, Library
from pilothouse.cri_shim.images.manifests import (
    INDEXES,
    Descriptor,
    InvalidImage,
    Manifest,
    Platform,
)
from pilothouse.cri_shim.images.ports import Named, Store
from pilothouse.cri_shim.images.registry import Repository, open_session
from pilothouse.services.machinery.errors import (
    ApiError,
    BadRequest,
    Forbidden,
    InternalError,
    NotFound,
    TooManyRequests,
    Unauthorized,
)
from pilothouse.services.machinery.images import InvalidReference, Reference, parse

DOWNLOADS_MAX = 3
"""Blobs of one image at the same time."""
MANAGED = {"io.cri-containerd.image": "managed"}
SOURCE_LABEL = "containerd.io/distribution.source."
CONTENT_LABEL = "containerd.io/gc.ref.content."
SNAPSHOT_LABEL = "containerd.io/gc.ref.snapshot."
PLAIN_LABEL = "containerd.io/uncompressed"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where images come from and go to."""

    platform: Platform
    snapshotter: str
    hosts: Callable[[str], Sequence[Host]]
    """Which hosts serve a domain."""


class Locks:
    """One lock for each name, while somebody holds or wants it."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Nobody else has it until the block ends."""
        lock, count = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = lock, count + 1
        try:
            async with lock:
                yield
        finally:
            count = self._locks[name][1] - 1
            if count:
                self._locks[name] = lock, count
            else:
                del self._locks[name]


class Puller:
    """Pulls and unpacks."""

    def __init__(self, store: Store, library: Library, around: Surroundings) -> None:
        self._store = store
        self._library = library
        self._around = around
        self._locks = Locks()

    async def pull(self, image: str, given: Given) -> str:
        """The id of what ``image`` is now."""
        try:
            reference = parse(image)
        except InvalidReference as error:
            raise BadRequest(f"failed to parse image reference {image!r}: {error}") from error
        try:
            async with open_session() as session, self._store.leased() as store:
                hosts = self._around.hosts(reference.domain)
                repository = Repository(session, reference, hosts, given)
                target, body = await repository.resolve()
                content = await self._known(target)
                if content is None:
                    target = await self._fetch(store, repository, (target, body), reference)
                    content = await self._library.read(target)
                    await self._unpack(store, content)
                await self._name(store, reference, content)
        except (ApiError, InvalidImage, ValueError) as error:
            text = f'failed to pull and unpack image "{reference}": {error}'
            # It is the registry that does not answer, or not rightly: the runtime is well.
            told = isinstance(error, NotFound | Unauthorized | Forbidden | TooManyRequests)
            raise (type(error) if told else InternalError)(text) from error
        return content.id

    async def unpack(self, content: Content) -> None:
        """Make the snapshots of an image that is at hand; nothing when they are there."""
        async with self._store.leased() as store:
            await self._unpack(store, content)

    async def _known(self, target: Descriptor) -> Content | None:
        """What is there already, unpacked, under any name."""
        for named in await self._store.names():
            if named.target.digest == target.digest:
                with suppress(NotFound, InvalidImage):
                    found = await self._library.read(named.target)
                    if found.chain_id and await self._store.has_snapshot(found.chain_id):
                        return found
                break
        return None

    async def _fetch(
        self,
        store: Store,
        repository: Repository,
        resolved: tuple[Descriptor, bytes],
        reference: Reference,
    ) -> Descriptor:
        target, content = resolved
        parsed = manifests.parse(target.media_type, content)
        kind = parsed.media_type
        target = Descriptor(target.digest, target.size, kind)
        label = {SOURCE_LABEL + reference.domain: reference.path}
        if parsed.index is None:
            assert parsed.manifest is not None  # noqa: S101 - it is one of the two
            await self._bring_image(store, repository, (target, content, parsed.manifest), label)
            return target
        chosen = manifests.choose(parsed.index, self._around.platform)
        if chosen is None:
            raise NotFound(f"{reference}: no match for platform in manifest")
        text = await repository.manifest(chosen)
        inner = manifests.parse(chosen.media_type, text).manifest
        if inner is None:
            raise InvalidImage(f"{chosen.digest}: an index in an index")
        await self._bring_image(store, repository, (chosen, text, inner), label)
        await self._keep(store, target, content)
        children = {f"{CONTENT_LABEL}m.{i}": item.digest for i, item in enumerate(parsed.children)}
        await store.label(target.digest, children | label)
        return target

    async def _bring_image(
        self,
        store: Store,
        repository: Repository,
        image: tuple[Descriptor, bytes, Manifest],
        label: dict[str, str],
    ) -> None:
        """The blobs of one manifest, then itself."""
        target, content, manifest = image
        slots = asyncio.Semaphore(DOWNLOADS_MAX)

        async def bring(blob: Descriptor, kind: str) -> None:
            async with slots, self._locks.hold(blob.digest):
                ref = f"{kind}-{blob.digest}"
                await store.write(ref, blob, lambda offset: repository.blob(blob, offset))
                await store.label(blob.digest, label)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(bring(manifest.config, "config"))
                for layer in {layer.digest: layer for layer in manifest.layers}.values():
                    group.create_task(bring(layer, "layer"))
        except ExceptionGroup as failed:
            # Whatever else went wrong, went wrong because of the first.
            raise failed.exceptions[0] from None
        await self._keep(store, target, content)
        children = {
            f"{CONTENT_LABEL}l.{i}": layer.digest for i, layer in enumerate(manifest.layers)
        }
        children[f"{CONTENT_LABEL}config"] = manifest.config.digest
        await store.label(target.digest, children | label)

    async def _keep(self, store: Store, blob: Descriptor, content: bytes) -> None:
        async def source(offset: int) -> AsyncIterator[bytes]:
            yield content[offset:]

        kind = "index" if blob.media_type in INDEXES else "manifest"
        async with self._locks.hold(blob.digest):
            await store.write(f"{kind}-{blob.digest}", blob, source)

    async def _unpack(self, store: Store, content: Content) -> None:
        diff_ids = content.config.rootfs.diff_ids
        chain = chain_ids(diff_ids)
        parent = ""
        for name, diff_id, layer in zip(chain, diff_ids, content.manifest.layers, strict=True):
            async with self._locks.hold(name):
                if not await store.has_snapshot(name):
                    await store.unpack(layer, parent, name, diff_id)
                    await store.label(layer.digest, {PLAIN_LABEL: diff_id})
            parent = name
        if parent:
            label = SNAPSHOT_LABEL + self._around.snapshotter
            await store.label(content.id, {label: parent})

    async def _name(self, store: Store, reference: Reference, content: Content) -> None:
        names = [
            str(reference), f"{reference.repository}@{content.target.digest}", content.id,
        ]  # fmt: skip
        for name in dict.fromkeys(names):
            await store.name(Named(name, content.target, MANAGED))
