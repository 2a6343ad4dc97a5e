"""A container runtime in memory: what the kubelet asks of one, and nothing that runs.

Containers run from the moment they are started, and end when they are asked to or when their
course says so (see ``course``). All is lost with the process: to its pods a new one is a machine
that was replaced.
"""

import asyncio
import heapq
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from pilothouse.services.kubelet.adapters.hollow import course
from pilothouse.services.kubelet.adapters.hollow.addresses import NodeAddresses
from pilothouse.services.kubelet.adapters.hollow.course import Course
from pilothouse.services.kubelet.pod.configs import ContainerConfig, SandboxConfig
from pilothouse.services.kubelet.pod.observed import Container, Observed, Sandbox
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.ports import PodRef
from pilothouse.services.kubelet.resources.qos import Limits
from pilothouse.services.machinery.errors import Conflict, NotFound
from pilothouse.services.runtime.clock import Clock

KILLED = 137
_STATES = ("created", "running", "exited", "unknown")


@dataclass(slots=True)
class _Kept:
    """What there is of one pod, by id."""

    ref: PodRef
    sandboxes: dict[str, Sandbox] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    courses: dict[str, Course] = field(default_factory=dict)


def _newest(item: Sandbox | Container) -> tuple[int, float]:
    return -item.attempt, -item.created_at


class MemoryRuntime:
    """One node's; behind the kubelet's ports Runtime, Survey and Exits."""

    def __init__(self, clock: Clock, addresses: NodeAddresses) -> None:
        self._clock = clock
        self._addresses = addresses
        self._pods: dict[str, _Kept] = {}
        self._owner: dict[str, _Kept] = {}
        self._due: list[tuple[float, str]] = []
        self._is_due = asyncio.Event()

    async def observe(self, uid: str) -> Observed:
        """Everything there is of this pod."""
        kept = self._pods.get(uid)
        if kept is None:
            return Observed()
        return Observed(
            tuple(sorted(kept.sandboxes.values(), key=_newest)),
            tuple(sorted(kept.containers.values(), key=_newest)),
        )

    async def survey(self) -> dict[PodRef, frozenset[tuple[str, int]]]:
        """Every pod, with the states of all that there is of it."""
        return {
            kept.ref: frozenset(
                [(item.id, int(item.ready)) for item in kept.sandboxes.values()]
                + [(item.id, _STATES.index(item.state)) for item in kept.containers.values()]
            )
            for kept in self._pods.values()
        }

    def forget(self, observed: Observed) -> None:
        """Nothing is remembered beside what there is."""

    async def run_sandbox(self, config: SandboxConfig) -> str:
        """Conflict when the pod has one of this attempt."""
        pod = config.pod
        ips = () if pod.spec.host_network else (await self._addresses.take(),)
        kept = self._kept(pod)
        if any(item.attempt == config.attempt for item in kept.sandboxes.values()):
            for ip in ips:
                self._addresses.give_back(ip)
            raise Conflict(f"pod {pod.metadata.key} has a sandbox of attempt {config.attempt}")
        id_ = uuid.uuid4().hex
        kept.sandboxes[id_] = Sandbox(id_, config.attempt, True, self._clock.now(), ips)
        self._owner[id_] = kept
        return id_

    def _kept(self, pod: Pod) -> _Kept:
        kept = self._pods.get(pod.uid)
        if kept is None:
            metadata = pod.metadata
            kept = _Kept(PodRef(pod.uid, metadata.namespace, metadata.name))
            self._pods[pod.uid] = kept
        return kept

    async def stop_sandbox(self, id_: str) -> None:
        """End what is left in it and give its address back; fine when it is gone."""
        kept = self._owner.get(id_)
        if kept is None or not (sandbox := kept.sandboxes[id_]).ready:
            return
        for container in list(kept.containers.values()):
            if container.sandbox_id == id_ and container.state == "running":
                self._end(container.id, KILLED)
        for ip in sandbox.ips:
            self._addresses.give_back(ip)
        kept.sandboxes[id_] = replace(sandbox, ready=False, ips=())

    async def remove_sandbox(self, id_: str) -> None:
        """With all its containers; fine when it is gone."""
        await self.stop_sandbox(id_)
        kept = self._owner.pop(id_, None)
        if kept is None:
            return
        for container in list(kept.containers.values()):
            if container.sandbox_id == id_:
                await self.remove_container(container.id)
        del kept.sandboxes[id_]
        if not kept.sandboxes:
            self._pods.pop(kept.ref.uid, None)

    async def create_container(
        self, sandbox_id: str, sandbox: SandboxConfig, config: ContainerConfig, image_ref: str
    ) -> str:
        """NotFound without its sandbox, Conflict when there is one of this name and attempt."""
        kept = self._owner.get(sandbox_id)
        if kept is None:
            raise NotFound(f"there is no sandbox {sandbox_id}")
        name = config.spec.name
        if any(
            (item.name, item.attempt) == (name, config.attempt) for item in kept.containers.values()
        ):
            raise Conflict(f"there is a container {name} of attempt {config.attempt}")
        its_course = course.of(sandbox.pod, config.spec)
        id_ = uuid.uuid4().hex
        kept.courses[id_] = its_course
        kept.containers[id_] = Container(
            id=id_,
            name=name,
            attempt=config.attempt,
            sandbox_id=sandbox_id,
            state="created",
            image=config.spec.image,
            image_id=image_ref,
            created_at=self._clock.now(),
            made_of=config.made_of,
            wait_seconds=config.wait_seconds,
        )
        self._owner[id_] = kept
        return id_

    async def start_container(self, id_: str) -> None:
        """NotFound when it is gone, Conflict when it was started before."""
        kept, found = self._find(id_)
        if found.state != "created":
            raise Conflict(f"container {id_} is {found.state}")
        now = self._clock.now()
        kept.containers[id_] = replace(found, state="running", started_at=now)
        run_seconds = kept.courses[id_].run_seconds
        if run_seconds is not None:
            heapq.heappush(self._due, (now + run_seconds, id_))
            self._is_due.set()

    async def update_container(self, id_: str, limits: Limits) -> None:
        """Nothing is limited; NotFound when it is gone."""
        self._find(id_)

    async def stop_container(self, id_: str, grace_seconds: int) -> None:
        """Ask it to end, kill it after the grace; fine when it is gone."""
        kept = self._owner.get(id_)
        if kept is None or kept.containers[id_].state != "running":
            return
        wanted = kept.courses[id_].stop_seconds
        if wanted and grace_seconds:
            await self._clock.sleep(min(wanted, grace_seconds))
        self._end(id_, KILLED if wanted > grace_seconds or not grace_seconds else 0)

    async def remove_container(self, id_: str) -> None:
        """Fine when it is gone."""
        kept = self._owner.pop(id_, None)
        if kept is not None:
            del kept.containers[id_], kept.courses[id_]

    async def exits(self) -> AsyncIterator[str]:
        """Ids of containers whose course ended, at that moment."""
        while True:
            self._is_due.clear()
            now = self._clock.now()
            while self._due and self._due[0][0] <= now:
                _, id_ = heapq.heappop(self._due)
                kept = self._owner.get(id_)
                if kept is not None and self._end(id_, kept.courses[id_].exit_code):
                    yield id_
            wait = self._due[0][0] - now if self._due else None
            try:
                async with asyncio.timeout(wait):
                    await self._is_due.wait()
            except TimeoutError:
                continue

    def _find(self, id_: str) -> tuple[_Kept, Container]:
        kept = self._owner.get(id_)
        if kept is None:
            raise NotFound(f"there is no container {id_}")
        return kept, kept.containers[id_]

    def _end(self, id_: str, exit_code: int) -> bool:
        """Whether it ran until now."""
        kept = self._owner.get(id_)
        found = None if kept is None else kept.containers[id_]
        if kept is None or found is None or found.state != "running":
            return False
        kept.containers[id_] = replace(
            found,
            state="exited",
            finished_at=self._clock.now(),
            exit_code=exit_code,
            reason="Completed" if exit_code == 0 else "Error",
        )
        return True
