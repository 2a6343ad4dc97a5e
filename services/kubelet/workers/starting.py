"""Start containers: image, environment, mounts, create, start, postStart."""

from pilothouse.services.kubelet.parts import Parts, log_directory, reference
from pilothouse.services.kubelet.pod import environment
from pilothouse.services.kubelet.pod.configs import (
    ContainerConfig,
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
from pilothouse.services.kubelet.ports import Image
from pilothouse.services.kubelet.resources import qos
from pilothouse.services.machinery.errors import ApiError, NotFound
from pilothouse.services.machinery.objects import Key

CONFIG_ERROR = "CreateContainerConfigError"
CREATE_ERROR = "CreateContainerError"
RUN_ERROR = "RunContainerError"
PULL_TOLD_SECONDS = 2.0
"""A failed pull is told for this long before the back-off after it is."""


class Starter:
    """For one pod; what fails is remembered as a trouble and told as an event."""

    def __init__(self, parts: Parts, memory: Memory) -> None:
        self._parts = parts
        self._memory = memory

    def sandbox_config(self, pod: Pod, attempt: int) -> SandboxConfig:
        """The sandbox of this attempt."""
        node = self._parts.node
        return SandboxConfig(
            pod=pod,
            attempt=attempt,
            hostname=kernel_hostname_of(pod, node.cluster_dns.searches[0]),
            dns=dns_of(pod, node.cluster_dns, node.host_dns),
            log_directory=str(log_directory(node, pod)),
            cgroup_parent=qos.cgroup_parent(node.cgroup_root, pod),
        )

    async def ensure_image(self, pod: Pod, spec: Container) -> None:
        """Find the image, or pull it, by the container's policy."""
        about = reference(pod, spec)
        note = self._parts.notes.note
        try:
            found = await self._parts.images.find(spec.image)
            if found is not None and spec.image_pull_policy != "Always":
                text = f'Container image "{spec.image}" already present on machine'
                text += " and can be accessed by the pod"
                note(about, "Normal", "Pulled", text)
            elif spec.image_pull_policy == "Never":
                text = f'Container image "{spec.image}" is not present with pull policy of Never'
                note(about, "Warning", "ErrImageNeverPull", text)
                self._fail(spec, "ErrImageNeverPull", text)
                return
            else:
                found = await self._pull(pod, spec)
        except ApiError as error:
            text = f'Failed to pull image "{spec.image}": {error.message}'
            note(about, "Warning", "Failed", text)
            note(about, "Warning", "Failed", "Error: ErrImagePull")
            self._fail(spec, "ErrImagePull", error.message, is_pull=True)
            return
        if not self._may_run_as_root(pod, spec, found):
            return
        self._memory.images[spec.name] = found.ref

    async def back_off(self, pod: Pod, spec: Container) -> None:
        """After a pull that failed: say so for a moment, then that the next one waits."""
        trouble = self._memory.trouble_with(spec.name)
        if trouble is None or trouble.reason != "ErrImagePull":
            return
        clock, about = self._parts.clock, reference(pod, spec)
        await clock.sleep(min(PULL_TOLD_SECONDS, trouble.until - clock.now()))
        text = f'Back-off pulling image "{spec.image}"'
        self._parts.notes.note(about, "Normal", "BackOff", text)
        self._parts.notes.note(about, "Warning", "Failed", "Error: ImagePullBackOff")
        told = f"{text}: ErrImagePull: {trouble.message}"
        self._memory.reword(spec.name, "ImagePullBackOff", told)

    async def _pull(self, pod: Pod, spec: Container) -> Image:
        about = reference(pod, spec)
        clock, note = self._parts.clock, self._parts.notes.note
        note(about, "Normal", "Pulling", f'Pulling image "{spec.image}"')
        began = clock.monotonic()
        found = await self._parts.images.pull(spec.image)
        took = f"{clock.monotonic() - began:.3f}s"
        text = f'Successfully pulled image "{spec.image}" in {took} ({took} including waiting).'
        note(about, "Normal", "Pulled", text)
        return found

    def _may_run_as_root(self, pod: Pod, spec: Container, image: Image) -> bool:
        """Whether ``runAsNonRoot`` is not asked for, or holds."""
        own, shared = spec.security_context, pod.spec.security_context
        wish = shared.run_as_non_root if own.run_as_non_root is None else own.run_as_non_root
        user = shared.run_as_user if own.run_as_user is None else own.run_as_user
        user = image.user if user is None else user
        if not wish or (user is not None and user != 0):
            return True
        text = "container has runAsNonRoot and image will run as root"
        if user is None and image.user_name:
            text = f"container has runAsNonRoot and image has non-numeric user ({image.user_name})"
        self._parts.notes.note(reference(pod, spec), "Warning", "Failed", f"Error: {text}")
        self._fail(spec, CONFIG_ERROR, text)
        return False

    def _fail(self, spec: Container, reason: str, message: str, *, is_pull: bool = False) -> None:
        now = self._parts.clock.now()
        self._memory.trouble(spec.name, reason, message, now, is_pull=is_pull)

    async def start(self, pod: Pod, act: StartContainer, sandbox: Sandbox) -> None:
        """Create and start in this sandbox; on failure remember why."""
        ips = sandbox.ips or (self._parts.node.around.host_ip,)
        spec = pod.container(act.name)
        reason = CONFIG_ERROR
        try:
            config = await self._config(pod, spec, act, ips)
            self._parts.logs.make(log_directory(self._parts.node, pod) / spec.name)
            reason = CREATE_ERROR
            made_in = self.sandbox_config(pod, sandbox.attempt)
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
        return ContainerConfig(
            spec=spec,
            attempt=act.attempt,
            made_of=fingerprint(spec),
            wait_seconds=act.wait_seconds,
            command=[environment.expand(item, env) for item in spec.command],
            args=[environment.expand(item, env) for item in spec.args],
            env=env,
            mounts=self._parts.volumes.mounts(pod, spec, act.attempt, env, ips),
            limits=qos.limits_of(pod, spec, node.memory_bytes, node.terms),
            target_id=act.target_id,
        )

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
