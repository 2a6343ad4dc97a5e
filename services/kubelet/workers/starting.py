"""Start containers: image, environment, mounts, create, start, postStart."""

from collections.abc import Mapping
from dataclasses import replace

from pilothouse.services.kubelet.parts import Parts, log_directory, reference
from pilothouse.services.kubelet.pod import environment
from pilothouse.services.kubelet.pod.configs import (
    ContainerConfig,
    Mount,
    SandboxConfig,
    dns_of,
    kernel_hostname_of,
)
from pilothouse.services.kubelet.pod.downward import Surroundings
from pilothouse.services.kubelet.pod.environment import Sources
from pilothouse.services.kubelet.pod.lifecycle import fingerprint
from pilothouse.services.kubelet.pod.memory import Memory
from pilothouse.services.kubelet.pod.observed import Container as Running
from pilothouse.services.kubelet.pod.observed import Sandbox
from pilothouse.services.kubelet.pod.plans import StartContainer
from pilothouse.services.kubelet.pod.views import Container, Pod
from pilothouse.services.kubelet.resources import qos
from pilothouse.services.machinery.errors import ApiError, NotFound
from pilothouse.services.machinery.objects import Key

CONFIG_ERROR = "CreateContainerConfigError"
CREATE_ERROR = "CreateContainerError"
RUN_ERROR = "RunContainerError"


class Starter:
    """For one pod; what fails is remembered as a trouble and told as an event."""

    def __init__(self, parts: Parts, memory: Memory) -> None:
        self._parts = parts
        self._memory = memory

    async def sandbox_config(self, pod: Pod, attempt: int) -> SandboxConfig:
        """The sandbox of this attempt; BadRequest where the node can not make it."""
        node, confinement = self._parts.node, self._parts.confinement
        handler = await self._handler(pod)
        return SandboxConfig(
            pod=pod,
            attempt=attempt,
            hostname=kernel_hostname_of(pod, node.cluster_dns.searches[0]),
            dns=dns_of(pod, node.cluster_dns, node.host_dns),
            log_directory=str(log_directory(node, pod)),
            cgroup_parent=qos.cgroup_parent(node.cgroup_root, pod),
            runtime_handler=handler,
            ids=confinement.ids(pod, handler),
            rules=confinement.rules,
        )

    async def _handler(self, pod: Pod) -> str:
        name = pod.spec.runtime_class_name
        return await self._parts.cluster.runtime_handler(name) if name else ""

    def _fail(self, spec: Container, reason: str, message: str) -> None:
        self._memory.trouble(spec.name, reason, message, self._parts.clock.now())

    async def start(self, pod: Pod, act: StartContainer, sandbox: Sandbox) -> None:
        """Create and start in this sandbox; on failure remember why."""
        ips = sandbox.ips or (self._parts.node.around.host_ip,)
        spec = pod.container(act.name)
        reason = CONFIG_ERROR
        try:
            config = await self._config(pod, spec, act, ips)
            self._parts.logs.make(log_directory(self._parts.node, pod) / spec.name)
            if act.attempt:
                # A container that restarts for other resources needs a pod with room for them.
                self._parts.cgroups.prepare(pod)
            reason = CREATE_ERROR
            made_in = await self.sandbox_config(pod, sandbox.attempt)
            image_ref = self._memory.images[spec.name]
            id_ = await self._parts.runtime.create_container(
                act.sandbox_id, made_in, config, image_ref
            )
            self._note(pod, spec, "Created", "Container created")
            self._memory.resources[id_] = spec.resources
            reason = RUN_ERROR
            self._memory.images.pop(spec.name, None)
            await self.resume(pod, spec, id_, ips)
        except (ApiError, OSError) as error:
            text = str(error)
            note = self._parts.notes.note
            note(reference(pod, spec), "Warning", "Failed", f"Error: {text}")
            self._fail(spec, reason, text)
            return
        self._memory.well(spec.name)

    async def resume(self, pod: Pod, spec: Container, id_: str, ips: tuple[str, ...]) -> None:
        """Start what is created, then its postStart hook; a failing hook ends it."""
        hook = spec.lifecycle.post_start
        if hook is not None:
            self._memory.hooking.add(spec.name)
        try:
            await self._parts.runtime.start_container(id_)
            self._note(pod, spec, "Started", "Container started")
            if hook is None:
                return
            running = Running(id_, spec.name, 0, "", "running")
            outcome = await self._parts.probing.hook(hook, spec, running, ips[0] if ips else "")
            if not outcome.passed:
                note = self._parts.notes.note
                # What the hook said is not told: it may hold secrets.
                text = "PostStartHook failed"
                note(reference(pod, spec), "Warning", "FailedPostStartHook", text)
                self._note(pod, spec, "Killing", "FailedPostStartHook")
                grace = pod.spec.termination_grace_period_seconds
                await self._parts.runtime.stop_container(id_, grace)
        finally:
            self._memory.hooking.discard(spec.name)

    def _note(self, pod: Pod, spec: Container, reason: str, message: str) -> None:
        self._parts.notes.note(reference(pod, spec), "Normal", reason, message)

    async def _config(
        self, pod: Pod, spec: Container, act: StartContainer, ips: tuple[str, ...]
    ) -> ContainerConfig:
        node = self._parts.node
        around = Surroundings(node.around.host_ip, ips, node.around.allocatable)
        services = self._parts.cluster.services(pod.metadata.namespace)
        sources = await self._sources(pod, spec)
        env = environment.build(pod, spec, sources, services, around)
        given = await self._parts.devices.given(pod, spec.name)
        return ContainerConfig(
            spec=spec,
            attempt=act.attempt,
            made_of=fingerprint(spec),
            wait_seconds=act.wait_seconds,
            command=[environment.expand(item, env) for item in spec.command],
            args=[environment.expand(item, env) for item in spec.args],
            env={**given.env, **env},
            mounts=[
                *given.mounts,
                *self._parts.confinement.settle(
                    self._mounts(pod, spec, act, env, ips),
                    await self._handler(pod),
                ),
            ],
            limits=self._parts.processors.bind(
                pod, spec, qos.limits_of(pod, spec, node.memory_bytes, node.terms)
            ),
            image_user=await self._image_user(pod, spec),
            target_id=act.target_id,
            devices=given.nodes,
            annotations=given.annotations,
            cdi_devices=given.cdi_devices,
        )

    def _mounts(
        self,
        pod: Pod,
        spec: Container,
        act: StartContainer,
        env: Mapping[str, str],
        ips: tuple[str, ...],
    ) -> list[Mount]:
        """Images among them by their ids: a runtime need not know a name as the pod says it."""
        ids = self._memory.volume_images
        return [
            replace(mount, image=ids.get(mount.image, mount.image)) if mount.image else mount
            for mount in self._parts.volumes.mounts(pod, spec, act.attempt, env, ips)
        ]

    async def _image_user(self, pod: Pod, spec: Container) -> int | None:
        """Whom the image runs as; asked only where the pod names a group and no user."""
        own, shared = spec.security_context, pod.spec.security_context
        if own.run_as_user is not None or shared.run_as_user is not None:
            return None
        if own.run_as_group is None and shared.run_as_group is None:
            return None
        found = await self._parts.images.find(spec.image)
        return found.user or 0 if found is not None and not found.user_name else None

    async def _sources(self, pod: Pod, spec: Container) -> Sources:
        """Fetch what the environment refers to; what is absent stays out."""
        names = environment.wanted(spec)
        config_maps, secrets = {}, {}
        for name in sorted(names.config_maps):
            try:
                key = Key(pod.metadata.namespace, name)
                config_maps[name] = await self._parts.cluster.config_map(key)
            except NotFound:
                continue
        for name in sorted(names.secrets):
            try:
                key = Key(pod.metadata.namespace, name)
                secrets[name] = await self._parts.cluster.secret(key)
            except NotFound:
                continue
        return Sources(config_maps, secrets)
