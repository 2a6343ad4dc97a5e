"""Carry out a plan's acts for one pod: long ones beside the worker, the rest together."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from pilothouse.services.kubelet.parts import Parts, log_directory, reference
from pilothouse.services.kubelet.pod.lifecycle import TERMINAL
from pilothouse.services.kubelet.pod.memory import Memory
from pilothouse.services.kubelet.pod.observed import (
    SANDBOX,
    VOLUMES,
    Container,
    Observed,
    Sandbox,
)
from pilothouse.services.kubelet.pod.plans import (
    Act,
    EnsureImage,
    PrepareVolumes,
    RemoveContainer,
    RemoveSandbox,
    ResizeContainer,
    ResumeContainer,
    RunSandbox,
    StartContainer,
    StopContainer,
    StopSandbox,
)
from pilothouse.services.kubelet.pod.views import Pod, full_name
from pilothouse.services.kubelet.resources import qos, resizing
from pilothouse.services.kubelet.workers.pulling import Puller
from pilothouse.services.kubelet.workers.starting import Starter
from pilothouse.services.kubelet.workers.stopping import Stopper
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry

TROUBLE_TOLD_SECONDS = 2.0


class Performer:
    """What fails is remembered as a trouble and told as an event; nothing is raised."""

    def __init__(self, parts: Parts, memory: Memory, wake: Callable[[], None]) -> None:
        self._parts = parts
        self._memory = memory
        self._wake = wake
        self._starter = Starter(parts, memory)
        self._puller = Puller(parts, memory)
        self._stopper = Stopper(parts, memory, wake)
        self._pulling: set[asyncio.Task[None]] = set()
        self._waiting: set[str] = set()
        self.refresh_at: float | None = None
        self._is_stale = False
        self._shown: object = None
        self._log = telemetry.logger(part="performer")

    async def perform(
        self, group: asyncio.TaskGroup, pod: Pod, observed: Observed, acts: Sequence[Act]
    ) -> bool:
        """Do all; whether anything was done after which another look is due at once."""
        now = self._parts.clock.now()
        if self._should_refresh(pod, now):
            acts = (*acts, PrepareVolumes())
        if not acts:
            return False
        starts: list[StartContainer | ResumeContainer] = []
        together: list[Act] = []
        for act in acts:
            match act:
                case StopContainer():
                    self._memory.stopping[act.id] = now + act.grace_seconds
                    self._stopper.begin(group, pod, observed, act)
                case EnsureImage():
                    self._memory.pulling.add(act.name)
                    pull = group.create_task(self._ensure_image(pod, act))
                    self._pulling.add(pull)
                    pull.add_done_callback(self._pulling.discard)
                case StartContainer() | ResumeContainer():
                    starts.append(act)
                case _:
                    together.append(act)
        if not starts and not together:
            return False
        async with asyncio.TaskGroup() as beside:
            for act in together:
                beside.create_task(self._do(pod, observed, act))
            if starts and observed.sandbox is not None:
                beside.create_task(self._start(pod, observed.sandbox, starts))
        return True

    async def _do(self, pod: Pod, observed: Observed, act: Act) -> None:
        try:
            match act:
                case PrepareVolumes():
                    await self._prepare(pod, observed)
                case RunSandbox():
                    await self._run_sandbox(pod, act)
                case StopSandbox():
                    await self._parts.runtime.stop_sandbox(act.id)
                case RemoveSandbox():
                    await self._parts.runtime.remove_sandbox(act.id)
                case ResizeContainer():
                    await self._resize(pod, act)
                case RemoveContainer():
                    await self._parts.runtime.remove_container(act.id)
                    if act.log_path:
                        self._parts.logs.remove_file(Path(act.log_path))
        except (ApiError, OSError) as error:
            self._log.warning("act failed", act=type(act).__name__, error=str(error))
            await self._parts.clock.sleep(1.0)

    async def _resize(self, pod: Pod, act: ResizeContainer) -> None:
        """Tell the runtime, and the pod's own cgroup beside it."""
        spec = pod.container(act.name)
        note, about = self._parts.notes.note, reference(pod, spec)
        self._parts.cgroups.prepare(pod)
        node = self._parts.node
        limits = qos.limits_of(pod, spec, node.memory_bytes, node.terms)
        used = self._parts.cgroups.memory_used(pod, act.id)
        try:
            resizing.check_memory(spec.name, limits.memory_bytes, used)
            limits = self._parts.processors.bind(pod, spec, limits)
            await self._parts.runtime.update_container(act.id, limits)
        except ApiError as error:
            now = self._parts.clock.now()
            self._memory.trouble(resizing.IN_PROGRESS, "Error", error.message, now)
            note(about, "Warning", "ResizeError", f"Resize failed: {error.message}")
            return
        # What the pod has less may go only after its containers have less.
        self._parts.cgroups.prepare(pod)
        self._memory.well(resizing.IN_PROGRESS)
        self._memory.resources[act.id] = spec.resources
        note(about, "Normal", "ResizeCompleted", f"Pod resize completed: {act.name}")

    def _should_refresh(self, pod: Pod, now: float) -> bool:
        """Whether volumes may show what is no longer so, and somebody may look."""
        if not self._memory.volumes_ready or pod.status.get("phase") in TERMINAL:
            self.refresh_at = None
            return False
        if self._shown != _shown(pod):
            return True
        return self.refresh_at is not None and now >= self.refresh_at

    def _changed(self) -> None:
        """Something that a volume shows has changed, or is there at last."""
        self._is_stale = True
        self.refresh_at = 0.0
        self._memory.well(VOLUMES)
        self._wake()

    async def _prepare(self, pod: Pod, observed: Observed) -> None:
        ips = observed.sandbox.ips if observed.sandbox is not None else ()
        self._is_stale, self._shown = False, _shown(pod)
        try:
            due = await self._parts.volumes.prepare(pod, ips, self._changed)
            self.refresh_at = 0.0 if self._is_stale else due
            self._memory.volumes_ready = True
            self._memory.well(VOLUMES)
        except (ApiError, OSError) as error:
            now = self._parts.clock.now()
            trouble = self._memory.trouble(VOLUMES, "FailedMount", str(error), now)
            self.refresh_at = trouble.until if self._memory.volumes_ready else None
            if trouble.wait_seconds >= TROUBLE_TOLD_SECONDS:
                self._parts.notes.note(reference(pod), "Warning", "FailedMount", str(error))

    async def _run_sandbox(self, pod: Pod, act: RunSandbox) -> None:
        note = self._parts.notes.note
        if act.replaces:
            text = "Pod sandbox changed, it will be killed and re-created."
            note(reference(pod), "Normal", "SandboxChanged", text)
        try:
            if act.replaces:
                await self._parts.runtime.stop_sandbox(act.replaces)
            self._parts.logs.make(log_directory(self._parts.node, pod))
            self._parts.cgroups.prepare(pod)
            async with self._parts.starting:
                config = await self._starter.sandbox_config(pod, act.attempt)
                await self._parts.runtime.run_sandbox(config)
        except ApiError as error:
            text = f"Failed to create pod sandbox: {error.message}"
            note(reference(pod), "Warning", "FailedCreatePodSandBox", text)
            now = self._parts.clock.now()
            self._memory.trouble(SANDBOX, "FailedCreatePodSandBox", error.message, now)
            return
        self._memory.well(SANDBOX)

    async def _start(
        self, pod: Pod, sandbox: Sandbox, acts: Sequence[StartContainer | ResumeContainer]
    ) -> None:
        for act in acts:
            spec = pod.container(act.name)
            if isinstance(act, StartContainer):
                await self._starter.start(pod, act, sandbox)
                continue
            try:
                await self._starter.resume(pod, spec, act.id, sandbox.ips)
            except ApiError as error:
                now = self._parts.clock.now()
                self._memory.trouble(spec.name, "RunContainerError", error.message, now)

    async def _ensure_image(self, pod: Pod, act: EnsureImage) -> None:
        try:
            spec = pod.container(act.name)
            await self._puller.ensure(pod, spec)
            self._wake()
            await self._puller.back_off(pod, spec)
        finally:
            self._memory.pulling.discard(act.name)
            self._wake()

    def tell(self, pod: Pod, backing_off: Sequence[Container]) -> None:
        """Whose next start waits, once for each end."""
        for ended in backing_off:
            if ended.id in self._waiting:
                continue
            self._waiting.add(ended.id)
            text = f"Back-off restarting failed container {ended.name} in pod {full_name(pod)}"
            about = reference(pod, pod.container(ended.name))
            self._parts.notes.note(about, "Warning", "BackOff", text)
        self._waiting &= {ended.id for ended in backing_off}

    async def clear(self, pod: Pod, observed: Observed) -> None:
        """Leave nothing of the pod on the node."""
        for pull in self._pulling:
            pull.cancel()
        for sandbox in observed.sandboxes:
            await self._parts.runtime.remove_sandbox(sandbox.id)
        if self._parts.image_volumes is not None:
            await self._parts.image_volumes.remove(pod.uid)
        self._parts.volumes.remove(pod.uid)
        self._parts.devices.release(pod.uid)
        self._parts.cgroups.remove(pod.uid)
        self._parts.logs.remove(log_directory(self._parts.node, pod))


def _shown(pod: Pod) -> object:
    """What a downward volume shows of the pod."""
    if any(volume.downward_api or volume.projected for volume in pod.spec.volumes):
        return pod.metadata.labels, pod.metadata.annotations, pod.spec.containers
    return None
