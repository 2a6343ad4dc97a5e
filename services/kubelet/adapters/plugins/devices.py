"""Device plugins v1beta1: each is dialled once it has registered, and listened to.

::

    Register (or a socket in plugins_registry) ─▶ ListAndWatch ─▶ inventory ─▶ Node.status
    a pod with a claim ─▶ choose ─▶ Allocate ─▶ checkpoint ─▶ container's env, mounts, devices
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grpc import aio

from pilothouse.protos.devices.v1beta1 import api_pb2 as pb
from pilothouse.protos.devices.v1beta1.api_pb2_grpc import DevicePluginStub
from pilothouse.services.kubelet.devices import checkpoint, inventory
from pilothouse.services.kubelet.devices.inventory import (
    HEALTHY,
    Assignment,
    Device,
    Inventory,
    Offer,
    Owner,
    Shortage,
    Wish,
)
from pilothouse.services.kubelet.devices.ports import NOTHING, UNEXPECTED, Given
from pilothouse.services.kubelet.pod.configs import DeviceNode, Mount
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources.admission import Rejection
from pilothouse.services.machinery.errors import BadRequest, InternalError
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.rpc.channel import open_channel
from pilothouse.services.runtime.rpc.errors import from_rpc

VERSION = "v1beta1"
CHECKPOINT = "kubelet_internal_checkpoint"
CALL_SECONDS_MAX = 30.0
DIAL_SECONDS_MAX = 10.0

if TYPE_CHECKING:
    from pilothouse.protos.devices.v1beta1.api_pb2_grpc import DevicePluginAsyncStub


@dataclass(slots=True)
class _Plugin:
    stub: "DevicePluginAsyncStub"
    options: pb.DevicePluginOptions


class DevicePlugins:
    """``changed``: called when there are other devices than before, or some are unwell."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        self.directory = directory
        self.changed: Callable[[], None] = _nothing
        self._clock = clock
        self._plugins: dict[str, _Plugin] = {}
        self._following: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._running = asyncio.Event()
        self._turn = asyncio.Lock()
        self._log = telemetry.logger(part="devices")
        self.inventory = self._read()

    def _read(self) -> Inventory:
        try:
            text = (self.directory / CHECKPOINT).read_text()
        except OSError:
            return Inventory()
        return checkpoint.decode(text, self._clock.now())

    def _save(self) -> None:
        path = self.directory / CHECKPOINT
        fresh = path.with_name(f"{CHECKPOINT}.tmp")
        fresh.write_text(checkpoint.encode(self.inventory))
        fresh.replace(path)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._running.set()
            await asyncio.get_running_loop().create_future()

    async def register(self, resource: str, endpoint: Path, version: str) -> None:
        """A plugin says that it offers a resource; BadRequest where it is not taken."""
        if version != VERSION:
            raise BadRequest(f'requested API version "{version}" is not supported by kubelet. '
                             f'Supported version is ["{VERSION}"]')  # fmt: skip
        if "/" not in resource or resource.partition("/")[0].endswith("kubernetes.io"):
            raise BadRequest(f'the ResourceName "{resource}" is invalid')
        await self._running.wait()
        before = self._following.pop(resource, None)
        if before is not None:
            before.cancel()
        if self._group is not None:
            follow = self._follow(resource, endpoint)
            self._following[resource] = self._group.create_task(follow)

    async def _follow(self, resource: str, endpoint: Path) -> None:
        """Listen to one plugin as long as it speaks."""
        self._log.info("device plugin registered", resource=resource, endpoint=str(endpoint))
        async with open_channel(f"unix://{endpoint}") as channel:
            stub = DevicePluginStub(channel)
            try:
                options = await stub.GetDevicePluginOptions(
                    pb.Empty(), timeout=DIAL_SECONDS_MAX, wait_for_ready=True
                )
                self._plugins[resource] = _Plugin(stub, options)
                async for answer in stub.ListAndWatch(pb.Empty()):
                    self._list(resource, answer)
            except aio.AioRpcError as error:
                self._log.info("device plugin ended", resource=resource, error=error.details())
            if self._following.get(resource) is asyncio.current_task():
                self._plugins.pop(resource, None)
                offer = self.inventory.offers.setdefault(resource, Offer())
                offer.gone_at = self._clock.now()
                self.changed()
                await self._clock.sleep(inventory.GONE_SECONDS)
                self.changed()

    def _list(self, resource: str, answer: pb.ListAndWatchResponse) -> None:
        found = {
            item.ID: Device(
                item.ID, item.health == HEALTHY, tuple(node.ID for node in item.topology.nodes)
            )
            for item in answer.devices
        }
        offer = self.inventory.offers.setdefault(resource, Offer())
        offer.devices, offer.gone_at = found, None
        self._save()
        self.changed()

    def capacity(self) -> dict[str, str]:
        """By resource, as a Node tells it."""
        return self.inventory.capacity(self._clock.now())

    def allocatable(self) -> dict[str, str]:
        """By resource, as a Node tells it."""
        return self.inventory.allocatable(self._clock.now())

    async def allocate(self, pod: Pod, active: Collection[str]) -> Rejection | None:
        """Give the pod what it asks for, once; why it can not be had."""
        wanted = list(inventory.wishes(pod, self.inventory.offers))
        if not wanted:
            return None
        async with self._turn:
            if self.inventory.has(pod.uid):
                return None
            for uid in {owner.uid for owner in self.inventory.assigned} - {*active, pod.uid}:
                self.inventory.release(uid)
            try:
                await self._assign(pod.uid, wanted, {*active, pod.uid})
            except (Shortage, aio.AioRpcError) as error:
                self.inventory.release(pod.uid)
                text = str(error)
                if isinstance(error, aio.AioRpcError):
                    text = (
                        "Allocate failed due to rpc error: code = "
                        f"{error.code().name.title().replace('_', '')} desc = {error.details()}, "
                        "which is unexpected"
                    )
                return Rejection(UNEXPECTED, f"Pod was rejected: {text}")
            finally:
                self._save()
        self.changed()
        return None

    async def _assign(self, uid: str, wanted: list[Wish], active: Collection[str]) -> None:
        """One wish after the other; raises Shortage and AioRpcError."""
        left: dict[str, set[str]] = {}
        for wish in wanted:
            reusable = left.setdefault(wish.resource, set())
            number = max(wish.number - len(reusable), 0)
            available = self.inventory.available(wish.resource, number, active)
            ids = await self._choose(wish, available, reusable)
            request = pb.AllocateRequest(
                container_requests=[pb.ContainerAllocateRequest(devices_ids=ids)]
            )
            stub = self._plugins[wish.resource].stub
            answer = await stub.Allocate(request, timeout=CALL_SECONDS_MAX)
            responses = answer.container_responses
            said = responses[0].SerializeToString() if responses else b""
            owner = Owner(uid, wish.container)
            before = self.inventory.assigned.get(owner, ())
            self.inventory.assigned[owner] = (*before, Assignment(wish.resource, ids, said))
            reusable.difference_update(ids)
            if wish.is_passing:
                reusable.update(ids)

    async def _choose(
        self, wish: Wish, available: list[str], reusable: set[str]
    ) -> tuple[str, ...]:
        """As the plugin prefers, where it does."""
        plugin = self._plugins[wish.resource]
        plain = inventory.prefer(available, reusable, wish.number)
        if not plugin.options.get_preferred_allocation_available:
            return plain
        request = pb.ContainerPreferredAllocationRequest(
            available_deviceIDs=[*available, *sorted(reusable)],
            must_include_deviceIDs=sorted(reusable)[: wish.number],
            allocation_size=wish.number,
        )
        requests = pb.PreferredAllocationRequest(container_requests=[request])
        answer = await plugin.stub.GetPreferredAllocation(requests, timeout=CALL_SECONDS_MAX)
        for response in answer.container_responses:
            ids = tuple(dict.fromkeys(response.deviceIDs))
            if len(ids) == wish.number and {*ids} <= {*available, *reusable}:
                return ids
        return plain

    async def given(self, pod: Pod, container: str) -> Given:
        """What the container is started with; its plugin hears that it is."""
        assignments = self.inventory.of(pod.uid, container)
        if not assignments:
            return NOTHING
        for item in assignments:
            plugin = self._plugins.get(item.resource)
            if plugin is None or not plugin.options.pre_start_required:
                continue
            request = pb.PreStartContainerRequest(devices_ids=item.ids)
            try:
                await plugin.stub.PreStartContainer(request, timeout=CALL_SECONDS_MAX)
            except aio.AioRpcError as error:
                raise InternalError(f"device plugin PreStartContainer rpc failed with err: "
                                    f"{from_rpc(error).message}") from None  # fmt: skip
        return _given(
            [pb.ContainerAllocateResponse.FromString(item.answer) for item in assignments]
        )

    def has(self, uid: str) -> bool:
        """Whether the pod has any."""
        return self.inventory.has(uid)

    def health(self, uid: str, container: str) -> list[dict[str, Any]]:
        """``allocatedResourcesStatus`` of one container."""
        return self.inventory.health(uid, container)

    def release(self, uid: str) -> None:
        """The pod is gone."""
        if self.inventory.release(uid):
            self._save()


def _given(answers: list[pb.ContainerAllocateResponse]) -> Given:
    """All that comes with several resources."""
    env: dict[str, str] = {}
    annotations: dict[str, str] = {}
    for answer in answers:
        env |= answer.envs
        annotations |= answer.annotations
    return Given(
        env=env,
        mounts=[
            Mount(item.container_path, item.host_path, item.read_only)
            for answer in answers
            for item in answer.mounts
        ],
        nodes=[
            DeviceNode(item.container_path, item.host_path, item.permissions)
            for answer in answers
            for item in answer.devices
        ],
        annotations=annotations,
        cdi_devices=[item.name for answer in answers for item in answer.cdi_devices],
    )


def _nothing() -> None:
    """Nobody is told."""
