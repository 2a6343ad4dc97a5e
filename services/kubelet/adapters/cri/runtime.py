"""CRI v1 on the runtime's unix socket: sandboxes, containers, images, streams."""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import TypeVar

from grpc import aio

from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.protos.cri.v1.api_pb2_grpc import ImageServiceStub, RuntimeServiceStub
from pilothouse.services.kubelet.adapters.cri import decode, encode
from pilothouse.services.kubelet.adapters.cri.leftovers import Leftovers
from pilothouse.services.kubelet.pod import configs
from pilothouse.services.kubelet.pod.configs import ContainerConfig, SandboxConfig
from pilothouse.services.kubelet.pod.observed import Container, Observed, Sandbox, is_abandoned
from pilothouse.services.kubelet.ports import Credentials, Image, PodRef, Ran, RuntimeState
from pilothouse.services.kubelet.resources.qos import Limits
from pilothouse.services.machinery.errors import ApiError, NotFound
from pilothouse.services.runtime.rpc.errors import from_rpc

CALL_SECONDS_MAX = 120.0
SANDBOX_SECONDS_MAX = 240.0
PULL_SECONDS_MAX = 3600.0
STOP_MARGIN_SECONDS = 120.0

NOBODY = PodRef("", "", "")
"""Sandboxes that no kubelet made."""

T = TypeVar("T")


class Cri:
    """One runtime. Every call raises :class:`ApiError` and nothing else."""

    def __init__(self, channel: aio.Channel) -> None:
        self._runtime = RuntimeServiceStub(channel)
        self._leftovers = Leftovers(channel)
        self._known: dict[str, Container] = {}
        self._ready: dict[str, Sandbox] = {}

    async def observe(self, uid: str) -> Observed:
        """Everything the runtime has of this pod; details are asked for where a state is new."""
        selector = {configs.POD_UID: uid}
        asked = self._runtime.ListContainers(
            cri.ListContainersRequest(filter=cri.ContainerFilter(label_selector=selector)),
            timeout=CALL_SECONDS_MAX,
        )
        try:
            listed = await _answer(
                self._runtime.ListPodSandbox(
                    cri.ListPodSandboxRequest(filter=cri.PodSandboxFilter(label_selector=selector)),
                    timeout=CALL_SECONDS_MAX,
                )
            )
            sandboxes = await self._sandboxes(listed.items)
            containers = await self._containers((await _answer(asked)).containers)
        finally:
            asked.cancel()
        containers.sort(key=lambda item: (-item.attempt, -item.created_at))
        return Observed(
            tuple(sorted(sandboxes, key=lambda item: (-item.attempt, -item.created_at))),
            tuple(item for item in containers if not is_abandoned(item)),
            tuple(item for item in containers if is_abandoned(item)),
        )

    async def _sandboxes(self, listed: Iterable[cri.PodSandbox]) -> list[Sandbox]:
        """A sandbox that is ready keeps its addresses as long as it is."""
        found = []
        for item in listed:
            is_ready = item.state == cri.SANDBOX_READY
            known = self._ready.get(item.id) if is_ready else None
            if known is None:
                request = cri.PodSandboxStatusRequest(pod_sandbox_id=item.id)
                try:
                    answer = await _answer(
                        self._runtime.PodSandboxStatus(request, timeout=CALL_SECONDS_MAX)
                    )
                except NotFound:
                    continue
                known = decode.sandbox(answer.status)
                self._ready.pop(item.id, None)
                if known.ready:
                    self._ready[item.id] = known
            found.append(known)
        return found

    async def _containers(self, listed: Iterable[cri.Container]) -> list[Container]:
        """What is told of a container changes only with its state."""
        found = []
        for item in listed:
            state = decode.STATES[item.state]
            known = self._known.get(item.id)
            if known is None or known.state != state or state == "unknown":
                try:
                    known = await self._container(item.id, item.pod_sandbox_id)
                except NotFound:
                    continue
                self._known[item.id] = known
            found.append(known)
        return found

    async def _container(self, id_: str, sandbox_id: str) -> Container:
        request = cri.ContainerStatusRequest(container_id=id_)
        answer = await _answer(self._runtime.ContainerStatus(request, timeout=CALL_SECONDS_MAX))
        return decode.container(answer.status, sandbox_id)

    async def survey(self) -> dict[PodRef, frozenset[tuple[str, int]]]:
        """Every pod that the runtime knows, with the states of all that it has of it."""
        sandboxes = await _answer(
            self._runtime.ListPodSandbox(cri.ListPodSandboxRequest(), timeout=CALL_SECONDS_MAX)
        )
        containers = await _answer(
            self._runtime.ListContainers(cri.ListContainersRequest(), timeout=CALL_SECONDS_MAX)
        )
        found: dict[PodRef, set[tuple[str, int]]] = {}
        for sandbox in sandboxes.items:
            found.setdefault(_ref(sandbox.labels), set()).add((sandbox.id, sandbox.state))
        for container in containers.containers:
            found.setdefault(_ref(container.labels), set()).add((container.id, container.state))
        found.pop(NOBODY, None)
        return {ref: frozenset(states) for ref, states in found.items()}

    async def run_sandbox(self, config: SandboxConfig) -> str:
        request = cri.RunPodSandboxRequest(
            config=encode.sandbox(config), runtime_handler=config.runtime_handler
        )
        answer = await _answer(self._runtime.RunPodSandbox(request, timeout=SANDBOX_SECONDS_MAX))
        return answer.pod_sandbox_id

    async def stop_sandbox(self, id_: str) -> None:
        """Give back its network, end what is left in it; fine when it is gone."""
        request = cri.StopPodSandboxRequest(pod_sandbox_id=id_)
        try:
            await _answer(self._runtime.StopPodSandbox(request, timeout=CALL_SECONDS_MAX))
        except NotFound:
            return

    async def remove_sandbox(self, id_: str) -> None:
        """With all its containers; fine when it is gone."""
        request = cri.RemovePodSandboxRequest(pod_sandbox_id=id_)
        try:
            await _answer(self._runtime.RemovePodSandbox(request, timeout=CALL_SECONDS_MAX))
        except NotFound:
            return
        except ApiError:
            listed = cri.ListContainersRequest(filter=cri.ContainerFilter(pod_sandbox_id=id_))
            left = await _answer(self._runtime.ListContainers(listed, timeout=CALL_SECONDS_MAX))
            for container in left.containers:
                await self._leftovers.end(container.id)
            await _answer(self._runtime.RemovePodSandbox(request, timeout=CALL_SECONDS_MAX))

    async def create_container(
        self, sandbox_id: str, sandbox: SandboxConfig, config: ContainerConfig, image_ref: str
    ) -> str:
        request = cri.CreateContainerRequest(
            pod_sandbox_id=sandbox_id,
            config=encode.container(sandbox, config, image_ref),
            sandbox_config=encode.sandbox(sandbox),
        )
        answer = await _answer(self._runtime.CreateContainer(request, timeout=CALL_SECONDS_MAX))
        return answer.container_id

    async def start_container(self, id_: str) -> None:
        request = cri.StartContainerRequest(container_id=id_)
        await _answer(self._runtime.StartContainer(request, timeout=CALL_SECONDS_MAX))

    async def update_container(self, id_: str, limits: Limits) -> None:
        """Other limits for a container that runs."""
        request = cri.UpdateContainerResourcesRequest(
            container_id=id_, linux=encode.resources(limits)
        )
        await _answer(self._runtime.UpdateContainerResources(request, timeout=CALL_SECONDS_MAX))

    async def stop_container(self, id_: str, grace_seconds: int) -> None:
        """Ask it to end, kill it after the grace; fine when it is gone."""
        request = cri.StopContainerRequest(container_id=id_, timeout=grace_seconds)
        limit = grace_seconds + STOP_MARGIN_SECONDS
        try:
            await _answer(self._runtime.StopContainer(request, timeout=limit))
        except NotFound:
            return

    async def remove_container(self, id_: str) -> None:
        """Fine when it is gone."""
        self._known.pop(id_, None)
        request = cri.RemoveContainerRequest(container_id=id_)
        try:
            await _answer(self._runtime.RemoveContainer(request, timeout=CALL_SECONDS_MAX))
        except NotFound:
            return
        except ApiError:
            await self._leftovers.end(id_)
            await _answer(self._runtime.RemoveContainer(request, timeout=CALL_SECONDS_MAX))

    def forget(self, observed: Observed) -> None:
        """Drop what is remembered of these sandboxes and containers."""
        for sandbox in observed.sandboxes:
            self._ready.pop(sandbox.id, None)
        for container in (*observed.containers, *observed.abandoned):
            self._known.pop(container.id, None)


class CriStreams:
    """The runtime's state, ``last`` as it was when it was asked, and commands inside containers."""

    def __init__(self, channel: aio.Channel) -> None:
        self.last: RuntimeState | None = None
        self._runtime = RuntimeServiceStub(channel)

    async def state(self) -> RuntimeState:
        """Whether the runtime and its network are ready, and what it is."""
        version = await _answer(self._runtime.Version(cri.VersionRequest(), timeout=10.0))
        answer = await _answer(self._runtime.Status(cri.StatusRequest(), timeout=10.0))
        conditions = {item.type: item for item in answer.status.conditions}
        runtime = conditions.get("RuntimeReady")
        network = conditions.get("NetworkReady")
        self.last = RuntimeState(
            name=version.runtime_name,
            version=version.runtime_version,
            runtime_problem=_problem("container runtime", runtime),
            network_problem=_problem("container runtime network", network),
            handlers=decode.handlers(answer),
            strict_groups=(
                answer.features.supplemental_groups_policy if answer.HasField("features") else None
            ),
        )
        return self.last

    async def run(self, id_: str, command: Sequence[str], timeout_seconds: int) -> Ran:
        """Run a command to its end in a container."""
        request = cri.ExecSyncRequest(container_id=id_, cmd=command, timeout=timeout_seconds)
        answer = await _answer(self._runtime.ExecSync(request, timeout=timeout_seconds + 10.0))
        return Ran(answer.exit_code, answer.stdout + answer.stderr)

    async def exec_url(self, id_: str, command: Sequence[str], streams: frozenset[str]) -> str:
        """Where to stream a command; ``streams`` of stdin, stdout, stderr, tty."""
        request = cri.ExecRequest(
            container_id=id_,
            cmd=command,
            tty="tty" in streams,
            stdin="stdin" in streams,
            stdout="stdout" in streams,
            stderr="stderr" in streams and "tty" not in streams,
        )
        return (await _answer(self._runtime.Exec(request, timeout=CALL_SECONDS_MAX))).url

    async def attach_url(self, id_: str, streams: frozenset[str]) -> str:
        """Where to stream the container's own process."""
        request = cri.AttachRequest(
            container_id=id_,
            tty="tty" in streams,
            stdin="stdin" in streams,
            stdout="stdout" in streams,
            stderr="stderr" in streams and "tty" not in streams,
        )
        return (await _answer(self._runtime.Attach(request, timeout=CALL_SECONDS_MAX))).url

    async def forward_url(self, sandbox_id: str) -> str:
        """Where to tunnel to ports of a sandbox."""
        request = cri.PortForwardRequest(pod_sandbox_id=sandbox_id)
        return (await _answer(self._runtime.PortForward(request, timeout=CALL_SECONDS_MAX))).url

    async def reopen_log(self, id_: str) -> None:
        """Make the runtime write to a new file, after the old one was moved away."""
        request = cri.ReopenContainerLogRequest(container_id=id_)
        await _answer(self._runtime.ReopenContainerLog(request, timeout=CALL_SECONDS_MAX))


class CriImages:
    """Images on the node."""

    def __init__(self, channel: aio.Channel) -> None:
        self._images = ImageServiceStub(channel)

    async def find(self, image: str) -> Image | None:
        """The image, when it is at hand."""
        request = cri.ImageStatusRequest(image=cri.ImageSpec(image=image))
        answer = await _answer(self._images.ImageStatus(request, timeout=CALL_SECONDS_MAX))
        if not answer.HasField("image"):
            return None
        found = answer.image
        user = found.uid.value if found.HasField("uid") else None
        names = (*found.repo_tags, *found.repo_digests)
        return Image(found.id, user, found.username, found.size, names)

    async def pull(self, image: str, credentials: Credentials | None = None) -> Image:
        """Fetch it, as somebody or as nobody."""
        request = cri.PullImageRequest(image=cri.ImageSpec(image=image))
        if credentials is not None:
            request.auth.username = credentials.username
            request.auth.password = credentials.password
        pulled = await _answer(self._images.PullImage(request, timeout=PULL_SECONDS_MAX))
        return await self.find(image) or Image(pulled.image_ref)


def _ref(labels: Mapping[str, str]) -> PodRef:
    return PodRef(
        labels.get(configs.POD_UID, ""),
        labels.get(configs.POD_NAMESPACE, ""),
        labels.get(configs.POD_NAME, ""),
    )


def _problem(what: str, condition: cri.RuntimeCondition | None) -> str:
    if condition is None:
        return f"{what} says nothing of itself"
    if condition.status:
        return ""
    return f"{what} is not ready: {condition.reason}: {condition.message}"


async def _answer(call: Awaitable[T]) -> T:
    try:
        return await call
    except aio.AioRpcError as error:
        raise from_rpc(error) from None
