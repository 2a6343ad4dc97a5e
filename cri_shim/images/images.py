"""What CRI asks of images, and what containers ask of them."""

import asyncio
from collections.abc import Sequence

from pilothouse.cri_shim.images.credentials import Given
from pilothouse.cri_shim.images.library import Image, Library, choose
from pilothouse.cri_shim.images.ports import Store, Usage
from pilothouse.cri_shim.images.pulling import Puller, Surroundings
from pilothouse.cri_shim.ports import ImageConfig
from pilothouse.services.machinery.errors import InternalError, NotFound

NOBODY = Given()


class ContainerImages:
    """Implements ``ports.Images``. Pulls happen in tasks of ``group``: one for all who want it."""

    def __init__(self, group: asyncio.TaskGroup, store: Store, around: Surroundings) -> None:
        self._group = group
        self._store = store
        self._library = Library(store, around.platform)
        self._puller = Puller(store, self._library, around)
        self._pulls: dict[tuple[str, Given], _Pull] = {}

    async def list(self, ref: str = "") -> Sequence[Image]:
        """All, or those that ``ref`` means."""
        images = await self._library.images()
        if not ref:
            return images
        found = choose(images, ref)
        return [] if found is None else [found]

    async def find(self, ref: str) -> Image | None:
        """The image of this name or id."""
        return await self._library.find(ref)

    async def fetch(self, image: str, given: Given = NOBODY) -> str:
        """Pull; the image's id. Who asks for the same with the same credentials shares one pull."""
        key = image, given
        pull = self._pulls.get(key)
        if pull is None:
            pull = self._pulls[key] = _Pull()
            task = self._group.create_task(pull.run(self._puller, image, given))
            task.add_done_callback(lambda _: self._pulls.pop(key, None))
            pull.task = task
        return await pull.wait()

    async def resolve(self, ref: str) -> ImageConfig:
        """With its snapshot, whoever brought it in."""
        image = await self._library.find(ref)
        if image is None:
            raise NotFound(f'image "{ref}": not found')
        # A lease is two writes to disk: only for what is not unpacked yet.
        top = image.content.chain_id
        if top and not await self._store.has_snapshot(top):
            await self._puller.unpack(image.content)
        return image.configuration()

    async def pull(self, ref: str) -> ImageConfig:
        """As nobody."""
        return await self.resolve(await self.fetch(ref))

    async def remove(self, ref: str) -> None:
        """All names of the image; fine when it is gone."""
        image = await self._library.find(ref)
        names = () if image is None else image.names
        for name in names:
            await self._store.forget(name, wait=name == names[-1])

    async def usage(self) -> Usage:
        """What all snapshots take."""
        return await self._store.usage()


class _Pull:
    """One pull and who waits for it; it ends when all of them have gone away."""

    def __init__(self) -> None:
        self._done = asyncio.Event()
        self._waiting = 0
        self._id = ""
        self._error: Exception | None = None
        self.task: asyncio.Task[None] | None = None

    async def run(self, puller: Puller, image: str, given: Given) -> None:
        """Keep what comes of it."""
        try:
            self._id = await puller.pull(image, given)
        except Exception as error:  # noqa: BLE001 - raised again to each who waits
            self._error = error
        finally:
            self._done.set()

    async def wait(self) -> str:
        """Its outcome."""
        self._waiting += 1
        try:
            await self._done.wait()
        finally:
            self._waiting -= 1
            if not self._waiting and self.task is not None:
                self.task.cancel()
        if self._error is not None:
            raise self._error
        if not self._id:
            raise InternalError("the pull was given up")
        return self._id
