"""Probe the containers of one pod, as long as they run."""

import asyncio
from collections.abc import Callable

from pilothouse.services.kubelet.parts import Parts, reference
from pilothouse.services.kubelet.pod import probes
from pilothouse.services.kubelet.pod.memory import Memory
from pilothouse.services.kubelet.pod.observed import Container as Running
from pilothouse.services.kubelet.pod.observed import Observed
from pilothouse.services.kubelet.pod.probes import Tally
from pilothouse.services.kubelet.pod.views import Container, Pod, Probe

EAGER_SECONDS = (0.1, 0.2, 0.4, 0.8)
"""Waits before the first verdict of readiness: most servers are up in less than a period, and the
failures until then are nobody's news."""


class Prober:
    """One task a running container that has probes; findings go to memory, changes to ``wake``."""

    def __init__(self, parts: Parts, memory: Memory, wake: Callable[[], None]) -> None:
        self._parts = parts
        self._memory = memory
        self._wake = wake
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wellness: dict[str, asyncio.Task[None]] = {}

    def follow(self, group: asyncio.TaskGroup, pod: Pod, observed: Observed) -> None:
        """Probe exactly those that run; a restarted kubelet goes on from what was recorded."""
        sandbox = observed.sandbox
        ip = sandbox.ips[0] if sandbox is not None and sandbox.ips else ""
        if pod.spec.host_network:
            ip = self._parts.node.around.host_ip
        running = {item.id: item for item in observed.containers if item.state == "running"}
        for id_ in [id_ for id_ in self._tasks if id_ not in running]:
            self._tasks.pop(id_).cancel()
            self._wellness.pop(id_, None)
        for spec in (*pod.spec.init_containers, *pod.spec.containers):
            current = observed.current(spec.name)
            if current is None or current.id not in running or current.id in self._tasks:
                continue
            if spec.startup_probe or spec.readiness_probe or spec.liveness_probe:
                self._seed(pod, spec, current)
                self._tasks[current.id] = group.create_task(self._probe(pod, spec, current, ip))

    def ease(self, observed: Observed) -> None:
        """The pod is leaving: whether it is ready still counts, whether it is well no more."""
        running = {item.id for item in observed.containers if item.state == "running"}
        for id_ in [id_ for id_ in self._tasks if id_ not in running]:
            self._tasks.pop(id_).cancel()
        for task in self._wellness.values():
            task.cancel()
        self._wellness.clear()

    def stop(self) -> None:
        """Probe no more; what was found stays."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def _seed(self, pod: Pod, spec: Container, current: Running) -> None:
        recorded = pod.recorded(spec.name)
        same = str(recorded.get("containerID", "")).endswith(f"//{current.id}")
        started = same and bool(recorded.get("started"))
        ready = same and bool(recorded.get("ready"))
        self._memory.note_health(
            current.id,
            started=started if spec.startup_probe else None,
            ready=ready if spec.readiness_probe else None,
        )

    async def _probe(self, pod: Pod, spec: Container, current: Running, ip: str) -> None:
        health = self._memory.health.get(current.id)
        if spec.startup_probe is not None and not (health and health.started):
            probe = spec.startup_probe
            await self._repeat("Startup", probe, (pod, spec, current, ip), until_passed=True)
        async with asyncio.TaskGroup() as group:
            if spec.readiness_probe is not None:
                probe = spec.readiness_probe
                group.create_task(self._repeat("Readiness", probe, (pod, spec, current, ip)))
            if spec.liveness_probe is not None:
                probe = spec.liveness_probe
                target = (pod, spec, current, ip)
                self._wellness[current.id] = group.create_task(
                    self._repeat("Liveness", probe, target)
                )

    async def _repeat(
        self,
        kind: str,
        probe: Probe,
        target: tuple[Pod, Container, Running, str],
        *,
        until_passed: bool = False,
    ) -> None:
        pod, spec, current, ip = target
        age = self._parts.clock.now() - current.started_at
        await self._parts.clock.sleep(max(probe.initial_delay_seconds - age, 0.0))
        tally = Tally()
        eager = list(EAGER_SECONDS) if kind in {"Readiness", "Startup"} else []
        while True:
            outcome = await self._parts.probing.check(probe, spec, current, ip)
            if eager and not outcome.passed:
                await self._parts.clock.sleep(eager.pop(0))
                continue
            eager.clear()
            before, tally = tally.verdict, probes.step(tally, probe, outcome)
            if not outcome.passed:
                text = f"{kind} probe failed: {outcome.message}"
                self._parts.notes.note(reference(pod, spec), "Warning", "Unhealthy", text)
            elif outcome.is_odd:
                text = f"{kind} probe warning: {outcome.message}"
                self._parts.notes.note(reference(pod, spec), "Warning", "ProbeWarning", text)
            if tally.verdict is not None and tally.verdict != before:
                self._found(kind, probe, current.id, passed=tally.verdict)
                if (until_passed and tally.verdict) or (kind != "Readiness" and not tally.verdict):
                    return
            await self._parts.clock.sleep(float(max(probe.period_seconds, 1)))

    def _found(self, kind: str, probe: Probe, id_: str, *, passed: bool) -> None:
        match kind:
            case "Readiness":
                self._memory.note_health(id_, ready=passed)
            case "Startup" if passed:
                self._memory.note_health(id_, started=True)
            case _ if not passed:
                grace = probe.termination_grace_period_seconds
                self._memory.note_health(id_, failed=kind.lower(), grace_seconds=grace)
        self._wake()
