"""Stop containers: withdraw, run the preStop hook, wait for the turn, ask to end, kill."""

import asyncio
from collections.abc import Callable

from pilothouse.services.kubelet.parts import Parts, reference
from pilothouse.services.kubelet.pod.memory import Memory
from pilothouse.services.kubelet.pod.observed import Observed
from pilothouse.services.kubelet.pod.plans import StopContainer
from pilothouse.services.kubelet.pod.views import Container, Pod
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry

GRACE_MIN_SECONDS = 2.0
"""What is left of the grace after a preStop hook, at least."""


class Stopper:
    """For one pod. Each stop is a task beside the worker, all within its grace."""

    def __init__(self, parts: Parts, memory: Memory, wake: Callable[[], None]) -> None:
        self._parts = parts
        self._memory = memory
        self._wake = wake
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._log = telemetry.logger(part="stopper")

    def begin(
        self, group: asyncio.TaskGroup, pod: Pod, observed: Observed, act: StopContainer
    ) -> None:
        """Returns at once; the container counts as being stopped from now on."""
        self._memory.stopping[act.id] = self._parts.clock.now() + act.grace_seconds
        self._under_way[act.id] = group.create_task(self._stop(pod, observed, act))

    async def _stop(self, pod: Pod, observed: Observed, act: StopContainer) -> None:
        clock = self._parts.clock
        began = clock.monotonic()
        every = (*pod.spec.init_containers, *pod.spec.containers, *pod.spec.ephemeral_containers)
        spec = next((item for item in every if item.name == act.name), None)
        self._parts.notes.note(reference(pod, spec), "Normal", "Killing", act.message)
        if spec is not None and spec.lifecycle.pre_stop is not None and act.grace_seconds > 0:
            await self._run_hook(pod, spec, observed, act)
        await clock.sleep(max(act.delay_seconds - (clock.monotonic() - began), 0.0))
        await self._let_go_first(act, act.grace_seconds - (clock.monotonic() - began))
        left = act.grace_seconds - (clock.monotonic() - began)
        grace = max(left, GRACE_MIN_SECONDS) if act.grace_seconds else 0.0
        try:
            await self._parts.runtime.stop_container(act.id, round(grace))
        except ApiError as error:
            self._log.warning("stop failed", container=act.id, error=error.message)
            await clock.sleep(1.0)
        self._memory.stopping.pop(act.id, None)
        self._under_way.pop(act.id, None)
        self._wake()

    async def _run_hook(
        self, pod: Pod, spec: Container, observed: Observed, act: StopContainer
    ) -> None:
        """The preStop hook, as long as the grace lasts."""
        running = next(item for item in observed.containers if item.id == act.id)
        hook = spec.lifecycle.pre_stop
        if hook is None or running.state != "running":
            return
        sandbox = observed.sandbox
        ip = sandbox.ips[0] if sandbox is not None and sandbox.ips else ""
        try:
            async with asyncio.timeout(act.grace_seconds):
                outcome = await self._parts.probing.hook(hook, spec, running, ip)
        except TimeoutError:
            self._log.info("preStop hook took the whole grace", pod=str(pod.metadata.key))
            return
        if not outcome.passed:
            about = reference(pod, spec)
            self._parts.notes.note(about, "Warning", "FailedPreStopHook", "PreStopHook failed")

    async def _let_go_first(self, act: StopContainer, seconds: float) -> None:
        """Wait for those that end before this one, no longer than the grace."""
        earlier = {self._under_way[id_] for id_ in act.after if id_ in self._under_way}
        if earlier and seconds > 0:
            await asyncio.wait(earlier, timeout=seconds)
