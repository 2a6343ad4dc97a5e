"""All simulated nodes: one watch of pods, one of nodes, one of Services, dispatched by name."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from pilothouse.services.kubelet.adapters.api.cluster import MeshCluster
from pilothouse.services.kubelet.adapters.api.node import MeshNode
from pilothouse.services.kubelet.adapters.hollow import weightless
from pilothouse.services.kubelet.adapters.hollow.addresses import NodeAddresses, Pool
from pilothouse.services.kubelet.adapters.hollow.runtime import MemoryRuntime
from pilothouse.services.kubelet.hollow import identities
from pilothouse.services.kubelet.hollow.config import Config
from pilothouse.services.kubelet.node import node
from pilothouse.services.kubelet.node.registration import Registration
from pilothouse.services.kubelet.parts import Node, Parts
from pilothouse.services.kubelet.pod.configs import Dns
from pilothouse.services.kubelet.pod.downward import Surroundings
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.machinery.kinds import nodes
from pilothouse.services.machinery.kinds.services import Service
from pilothouse.services.machinery.resources import NODES, PODS, SERVICES
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Objects, Selection
from pilothouse.services.runtime.clock import Clock

BOUND = Selection(fields="spec.nodeName!=")
LINGER_SECONDS = 0.05
"""A pod's start is over in less; its statuses until then are one write."""
SURVEY_SECONDS = 3600.0
"""A runtime in memory does nothing that it does not tell."""
TELLING_AT_ONCE = 48
"""Pods whose status is being written; that of the others waits, and is the newest by then."""
DOMAIN = Dns((), ("cluster.local",))


class HollowNode:
    """One kubelet without a machine."""

    def __init__(self, registration: Registration, pods: Pods, first_renewal: float) -> None:
        self._registration = registration
        self._pods = pods
        self._first_renewal = first_renewal
        self._has_pods = asyncio.Event()

    def change_pod(self, old: Pod | None, new: Pod | None) -> None:
        """A pod of this node is new, has changed, or is gone."""
        self._pods.change(old, new)
        self._has_pods.set()

    def change_node(self, old: nodes.Node | None, new: nodes.Node | None) -> None:
        """Its Node object has changed."""
        self._registration.changed(old, new)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._registration.run(self._first_renewal))
            # Most of many nodes have no pods for long, and pay nothing for them.
            await self._has_pods.wait()
            group.create_task(self._pods.run())


class Fleet:
    """Every node of ``config``, with what they share."""

    def __init__(self, config: Config, objects: Objects, clock: Clock) -> None:
        self.runtimes: dict[str, MemoryRuntime] = {}
        """What runs, by node."""
        self._config = config
        self._clock = clock
        self._objects = objects
        self._node_cache = Cache(objects, NODES, nodes.Node, clock=clock)
        self._service_cache = Cache(objects, SERVICES, Service, clock=clock)
        self._pod_cache = Cache(objects, PODS, Pod, BOUND, clock=clock)
        self._telling = asyncio.Semaphore(TELLING_AT_ONCE)
        self._cluster = MeshCluster(self._objects, self._service_cache)
        self._shared = Pool(config.pod_cidr)
        self._machine = identities.machine(config)
        self._numbers = _numbers(config)
        self._present: dict[str, HollowNode] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._node_cache.run())
            group.create_task(self._service_cache.run())
            await self._node_cache.wait_synced()
            await self._service_cache.wait_synced()
            self._group = group
            for name in self._numbers:
                self._start(group, name)
            self._node_cache.on_change(self._change_node)
            self._pod_cache.on_change(self._change_pod)
            group.create_task(self._pod_cache.run())

    def _start(self, group: asyncio.TaskGroup, name: str) -> None:
        made = self._build(self._numbers[name])
        self._present[name] = made
        self._tasks[name] = group.create_task(made.run())

    def _change_node(self, old: nodes.Node | None, new: nodes.Node | None) -> None:
        known = new or old
        if known is None or self._group is None or known.metadata.name not in self._numbers:
            return
        name = known.metadata.name
        if new is None:
            self._present.pop(name, None)
            task = self._tasks.pop(name, None)
            if task is not None:
                task.cancel()
            return
        if name not in self._present:
            self._start(self._group, name)
            for pod in self._pod_cache.values():
                if pod.spec.node_name == name:
                    self._present[name].change_pod(None, pod)
        self._present[name].change_node(old, new)

    def _change_pod(self, old: Pod | None, new: Pod | None) -> None:
        place, before = _place(new), _place(old)
        if before != place and before in self._present:
            self._present[before].change_pod(old, None)
        if place in self._present:
            self._present[place].change_pod(old if before == place else None, new)

    def _build(self, number: int) -> HollowNode:
        identity = identities.identity(self._config, number)
        addresses = NodeAddresses(self._shared)
        runtime = self.runtimes[identity.name] = MemoryRuntime(self._clock, addresses)
        view = MeshNode(self._objects, self._node_cache, identity.name, addresses.configure)
        around = Surroundings(identity.ip, (), node.allocatable(identity, self._machine))
        memory = self._machine.memory_bytes
        parts = Parts(
            node=Node(identity.name, around, memory, "/kubepods", Path("/"), DOMAIN, Dns()),
            clock=self._clock,
            runtime=runtime,
            images=weightless.EveryImage(),
            probing=weightless.Passing(),
            cluster=self._cluster,
            volumes=weightless.NoVolumes(),
            cgroups=weightless.NoCgroups(),
            notes=weightless.NoNotes(),
            logs=weightless.NoLogs(),
            telling=self._telling,
            linger_seconds=LINGER_SECONDS,
        )
        registration = Registration(
            view, view, weightless.Well(), self._clock, identity, self._machine
        )
        pods = Pods(parts, runtime, runtime, (), SURVEY_SECONDS)
        return HollowNode(registration, pods, identities.first_renewal_seconds(number))


def _place(pod: Pod | None) -> str:
    return "" if pod is None else pod.spec.node_name


def _numbers(config: Config) -> Mapping[str, int]:
    numbers = range(config.first, config.first + config.nodes)
    return {f"{config.prefix}{number}": number for number in numbers}
