"""Which CPUs containers run on: any (policy none), or some of their own (policy static)."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from pilothouse.services.kubelet.pod.observed import Observed
from pilothouse.services.kubelet.pod.views import Container, Pod
from pilothouse.services.kubelet.resources import cpusets, exclusive
from pilothouse.services.kubelet.resources.admission import Rejection
from pilothouse.services.kubelet.resources.exclusive import Assignments, Topology, Unassignable
from pilothouse.services.kubelet.resources.qos import Limits
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry


class Processors(Protocol):
    """What pods and containers are told of CPUs."""

    def admit(self, pod: Pod, is_here: Callable[[str], bool]) -> Rejection | None:
        """Give the pod what it needs; why it can not have it. ``is_here``: of a pod's uid."""

    def bind(self, pod: Pod, container: Container, limits: Limits) -> Limits:
        """``limits`` on the CPUs that the container is to run on."""

    def is_fixed(self, pod: Pod) -> bool:
        """Whether what it has can not change while it runs."""

    def own(self, uid: str, container: str) -> Collection[int]:
        """The CPUs that this container has for itself."""

    def allocatable(self) -> Collection[int]:
        """The CPUs that containers may have for themselves, taken ones included."""


class AnyProcessors:
    """Policy none: the kernel decides."""

    def admit(self, pod: Pod, is_here: Callable[[str], bool]) -> Rejection | None:
        return None

    def bind(self, pod: Pod, container: Container, limits: Limits) -> Limits:
        return limits

    def is_fixed(self, pod: Pod) -> bool:
        return False

    def own(self, uid: str, container: str) -> Collection[int]:
        return ()

    def allocatable(self) -> Collection[int]:
        return ()


class State(Protocol):
    """Where assignments outlive the kubelet."""

    def write(self, text: str) -> None: ...


class Containers(Protocol):
    async def update_container(self, id_: str, limits: Limits) -> None: ...


class Worker(Protocol):
    """One pod."""

    pod: Pod
    observed: Observed

    @property
    def is_expected(self) -> bool: ...


class Workers(Protocol):
    def workers(self) -> Sequence[Worker]: ...


class StaticProcessors:
    """Policy static: whole CPUs of Guaranteed pods are theirs alone.

    Who shares is moved off them as soon as they are taken, and onto them when they are free again.
    """

    def __init__(
        self, topology: Topology, known: Assignments, state: State, options: Mapping[str, str]
    ) -> None:
        self._topology = topology
        self._known = known
        self._state = state
        self._full_cores = options.get(exclusive.FULL_CORES) == "true"
        self._applied: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._log = telemetry.logger(part="cpus")
        state.write(exclusive.written(known))

    @property
    def known(self) -> Assignments:
        """Who has what."""
        return self._known

    def admit(self, pod: Pod, is_here: Callable[[str], bool]) -> Rejection | None:
        """Give the pod what it needs; why it can not have it."""
        self._keep(exclusive.keep(self._known, lambda uid: uid == pod.uid or is_here(uid)))
        try:
            self._keep(
                exclusive.allocate(self._known, self._topology, pod, full_cores=self._full_cores)
            )
        except Unassignable as error:
            return error.rejection
        return None

    def bind(self, pod: Pod, container: Container, limits: Limits) -> Limits:
        """Who has CPUs of his own has no quota: nobody else waits for them."""
        cpus = cpusets.render(self._known.of(pod.uid, container.name))
        if container.name in self._known.own.get(pod.uid, {}):
            return replace(limits, cpus=cpus, cpu_quota=0)
        return replace(limits, cpus=cpus)

    def is_fixed(self, pod: Pod) -> bool:
        """Whether it has CPUs of its own."""
        return pod.uid in self._known.own

    def own(self, uid: str, container: str) -> Collection[int]:
        """The CPUs that this container has for itself."""
        return self._known.own.get(uid, {}).get(container, ())

    def allocatable(self) -> Collection[int]:
        """The CPUs that containers may have for themselves, taken ones included."""
        return frozenset(self._topology) - self._known.reserved

    def _keep(self, assignments: Assignments) -> None:
        if assignments == self._known:
            return
        self._known = assignments
        self._state.write(exclusive.written(assignments))
        self._changed.set()

    async def run(self, pods: Workers, containers: Containers, seconds: float) -> None:
        """Until cancelled: move whoever runs on other CPUs than he is to."""
        while True:
            await self.reconcile(pods.workers(), containers)
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()

    async def reconcile(self, workers: Sequence[Worker], containers: Containers) -> None:
        """One turn."""
        here = {item.pod.uid for item in workers if item.is_expected}
        self._keep(exclusive.keep(self._known, here.__contains__))
        alive: dict[str, str] = {}
        for worker in workers:
            for container in worker.observed.alive():
                cpus = cpusets.render(self._known.of(worker.pod.uid, container.name))
                alive[container.id] = cpus
                if container.state != "running" or self._applied.get(container.id) == cpus:
                    continue
                try:
                    # Nothing but the CPUs: what is not said stays.
                    await containers.update_container(container.id, Limits(0, 0, 0, 0, cpus=cpus))
                except ApiError as error:
                    self._log.info("cpus not changed", id=container.id, error=error.message)
                    alive.pop(container.id)
        self._applied = alive
