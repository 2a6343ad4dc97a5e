"""Keep the disk of images below its mark, and dead containers from piling up.

Images are looked at every half a minute, so that it is known since when nobody has used them.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pilothouse.services.kubelet.images import collecting
from pilothouse.services.kubelet.images.collecting import Policy, Record, Stored
from pilothouse.services.kubelet.pod.observed import Observed
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

LOOK_SECONDS = 30.0
COLLECT_SECONDS = 300.0
ENDED = frozenset({"Succeeded", "Failed"})


class Store(Protocol):
    """The runtime's images. Calls raise ApiError."""

    async def images(self) -> Sequence[Stored]: ...
    async def used(self) -> frozenset[str]:
        """Ids and names that containers run from, and that sandboxes are made of."""

    async def remove(self, id_: str) -> None: ...
    async def space(self) -> tuple[int, int]:
        """Bytes of the disk that images are on, and of those what is free."""


class Containers(Protocol):
    async def remove_container(self, id_: str) -> None: ...


class Worker(Protocol):
    """One pod."""

    observed: Observed

    @property
    def phase(self) -> str: ...
    def wake(self) -> None: ...


class Workers(Protocol):
    def workers(self) -> Sequence[Worker]: ...


class Collector:
    """One node's. ``tell`` hears the Node's list of images, ``warn`` what went wrong."""

    def __init__(
        self,
        store: Store,
        containers: Containers,
        pods: Workers,
        policy: Policy,
        clock: Clock,
        warn: Callable[[str, str], None],
    ) -> None:
        self._store = store
        self._containers = containers
        self._pods = pods
        self._policy = policy
        self._clock = clock
        self._warn = warn
        self._records: dict[str, Record] = {}
        self._images: Sequence[Stored] = ()
        self._heard: Callable[[Sequence[Stored]], None] | None = None
        self._log = telemetry.logger(part="images")

    def on_images(self, heard: Callable[[Sequence[Stored]], None]) -> None:
        """Call this with all images, whenever they were looked at."""
        self._heard = heard

    async def run(self) -> None:
        """Until cancelled."""
        collect_at = self._clock.monotonic() + COLLECT_SECONDS
        while True:
            try:
                await self.look()
                if self._clock.monotonic() >= collect_at:
                    collect_at = self._clock.monotonic() + COLLECT_SECONDS
                    await self.collect()
            except (ApiError, OSError) as error:
                self._log.info("images not looked at", error=str(error))
            await self._clock.sleep(LOOK_SECONDS)

    async def look(self) -> frozenset[str]:
        """Remember what is there and what is used; what is used."""
        images, used = await self._store.images(), await self._store.used()
        now = self._clock.now()
        self._records = collecting.follow(self._records, images, used, now)
        self._images = images
        if self._heard is not None:
            self._heard(images)
        return used

    async def collect(self) -> None:
        """What is too old goes, and as much of the rest as the disk is too full."""
        candidates = await self._candidates()
        now = self._clock.now()
        await self._remove(collecting.outdated(candidates, self._records, now, self._policy))
        capacity, available = await self._store.space()
        wanted = collecting.too_much(capacity, available, self._policy)
        if not wanted:
            return
        chosen = collecting.plan(await self._candidates(), wanted)
        freed = await self._remove(chosen)
        if freed < wanted:
            text = (
                "Failed to garbage collect required amount of images. Attempted to free "
                f"{wanted} bytes, but only found {freed} bytes eligible to free."
            )
            self._warn("FreeDiskSpaceFailed", text)

    async def make(self) -> None:
        """All the room that there is: dead containers first, then every image not in use."""
        for worker in self._pods.workers():
            for id_ in dead(worker.observed, has_ended=worker.phase in ENDED):
                await self._containers.remove_container(id_)
                worker.wake()
        await self._remove(await self._candidates())

    async def _candidates(self) -> list[Stored]:
        used = await self.look()
        now = self._clock.now()
        return collecting.unused(self._images, self._records, used, now, self._policy)

    async def _remove(self, images: Sequence[Stored]) -> int:
        """Bytes that are free now; one that can not go does not keep the others."""
        freed = 0
        for image in images:
            try:
                await self._store.remove(image.id)
            except ApiError as error:
                self._log.warning("image not removed", image=image.id, error=error.message)
                continue
            self._log.info("image removed", image=image.id, names=image.names)
            self._records.pop(image.id, None)
            freed += image.bytes
        return freed


def dead(observed: Observed, *, has_ended: bool) -> list[str]:
    """Containers that nobody will run again: of a pod that has ended all, else all but the
    newest of each name."""
    ended = [item for item in observed.containers if item.state == "exited"]
    newest = {name: observed.of(name)[0].id for name in {item.name for item in ended}}
    return [item.id for item in ended if has_ended or item.id != newest[item.name]]


def node_images(images: Sequence[Stored], most: int) -> list[dict[str, Any]]:
    """As the Node tells them."""
    return collecting.told(images, most)
