"""Put together what keeps the node alive: eviction, and what is thrown away before."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial

from grpc import aio

from pilothouse.services.kubelet.adapters.cri.usage import CriUsage
from pilothouse.services.kubelet.adapters.images.store import ImageStore
from pilothouse.services.kubelet.adapters.machine import processors
from pilothouse.services.kubelet.adapters.machine.alarms import MemoryAlarm
from pilothouse.services.kubelet.adapters.machine.gauge import NodeGauge, Places
from pilothouse.services.kubelet.adapters.machine.usage import machine
from pilothouse.services.kubelet.config import Config
from pilothouse.services.kubelet.eviction import thresholds
from pilothouse.services.kubelet.eviction.evictor import Evictor, Rules, Surroundings, Usages
from pilothouse.services.kubelet.images import collecting
from pilothouse.services.kubelet.images.collecting import Policy, Stored
from pilothouse.services.kubelet.images.collector import Collector
from pilothouse.services.kubelet.node import node
from pilothouse.services.kubelet.node.registration import Registration
from pilothouse.services.kubelet.parts import Notes
from pilothouse.services.kubelet.pod.observed import Observed
from pilothouse.services.kubelet.ports import Containers
from pilothouse.services.kubelet.resources import allocatable
from pilothouse.services.kubelet.resources.processors import Processors
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.runtime.client.events import Reference
from pilothouse.services.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Heard:
    """Who hears of pressure, images and warnings."""

    config: Config
    registration: Registration
    pods: Pods
    notes: Notes
    processors: Processors

    def press(self, conditions: frozenset[str]) -> None:
        """These conditions hold from now on."""
        changed = self.registration.pressures ^ conditions
        self.registration.press(conditions)
        self.pods.press(conditions)
        for type_ in sorted(changed):
            reason = node.pressure(type_, has=type_ in conditions).reason
            event = reason.replace("Kubelet", "Node", 1)
            self._note("Normal", event, f"Node {self.config.node_name} status is now: {event}")

    def note(self, reason: str, message: str) -> None:
        """A warning about the node."""
        self._note("Warning", reason, message)

    def _note(self, type_: str, reason: str, message: str) -> None:
        name = self.config.node_name
        self.notes.note(Reference(kind="Node", namespace="", name=name, uid=name), type_, reason,
                        message)  # fmt: skip

    def hear(self, images: Sequence[Stored]) -> None:
        """All images of the node."""
        most = self.config.kubelet.node_status_max_images
        self.registration.show(collecting.told(images, most))


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """What goes on beside the pods."""

    evictor: Evictor
    collector: Collector
    beside: tuple[Callable[[], Coroutine[None, None, None]], ...] = ()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for run in self.beside:
                group.create_task(run())
            group.create_task(self.collector.run())
            group.create_task(self.evictor.run())


def build(
    heard: Heard, usages: Usages, containers: Containers, runtime: aio.Channel, clock: Clock
) -> Housekeeping:
    """No call is made yet."""
    config, pods = heard.config, heard.pods
    said = config.kubelet
    policy = Policy(
        said.image_gc_high_threshold_percent,
        said.image_gc_low_threshold_percent,
        said.image_minimum_gc_age,
        said.image_maximum_gc_age,
    )
    collector = Collector(ImageStore(runtime), containers, pods, policy, clock, heard.note)
    collector.on_images(heard.hear)
    places = Places(config.cgroup_root, config.paths.root, config.paths.logs)

    def observed(uid: str) -> Observed:
        found = (item.observed for item in pods.workers() if item.pod.uid == uid)
        return next(found, Observed())

    gauge = NodeGauge(places, CriUsage(runtime), observed, clock)
    rules = Rules(
        thresholds=thresholds.configured(said),
        transition_seconds=said.eviction_pressure_transition_period,
        grace_max_seconds=said.eviction_max_pod_grace_period,
        isolates=said.local_storage_capacity_isolation,
        kept_pids=allocatable.system(said).get("pid", 0),
    )
    evictor = Evictor(Surroundings(gauge, usages, pods, collector, heard), rules, clock)
    beside: list[Callable[[], Coroutine[None, None, None]]] = []
    memory = [item for item in rules.thresholds if item.signal == thresholds.MEMORY]
    if memory:
        whole = machine.whole().memory_bytes
        most = whole - max(item.least(whole) for item in memory)
        beside.append(MemoryAlarm(evictor.alarm, most, clock).run)
    static = processors.moving(heard.processors)
    if static is not None:
        period = said.cpu_manager_reconcile_period
        beside.append(partial(static.run, pods, containers, period))
    return Housekeeping(evictor, collector, tuple(beside))
