"""The kubelet's ports with a count of what goes through them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import grpc
from grpc import aio
from typing_extensions import override

from pilothouse.services.kubelet.adapters.api.cluster import MeshCluster
from pilothouse.services.kubelet.adapters.cri.runtime import Cri, CriImages
from pilothouse.services.kubelet.metrics.meters import Meters, ProbeMeters
from pilothouse.services.kubelet.parts import Probing
from pilothouse.services.kubelet.pod.configs import ContainerConfig, SandboxConfig
from pilothouse.services.kubelet.pod.observed import Container as Running
from pilothouse.services.kubelet.pod.probes import Outcome
from pilothouse.services.kubelet.pod.views import Container, Hook, Pod, Probe
from pilothouse.services.kubelet.ports import Credentials, Image, PodRef, Survey
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds.services import Service
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.rpc.errors import from_rpc

_OPERATIONS = {
    "RunPodSandbox": "run_podsandbox", "StopPodSandbox": "stop_podsandbox",
    "RemovePodSandbox": "remove_podsandbox", "PodSandboxStatus": "podsandbox_status",
    "ListPodSandbox": "list_podsandbox", "CreateContainer": "create_container",
    "StartContainer": "start_container", "StopContainer": "stop_container",
    "RemoveContainer": "remove_container", "ListContainers": "list_containers",
    "ContainerStatus": "container_status", "ExecSync": "exec_sync", "Exec": "exec",
    "Attach": "attach", "PortForward": "port_forward", "Version": "version", "Status": "status",
    "UpdateContainerResources": "update_container", "ReopenContainerLog": "reopen_container_log",
    "ListContainerStats": "list_container_stats", "ContainerStats": "container_stats",
    "ListImages": "list_images", "ImageStatus": "image_status", "PullImage": "pull_image",
    "RemoveImage": "remove_image", "ImageFsInfo": "image_fs_info",
}  # fmt: skip
_VERBS = {
    "Get": "GET", "List": "GET", "Watch": "GET", "Create": "POST", "Update": "PUT",
    "Patch": "PATCH", "PatchMany": "PATCH", "Delete": "DELETE",
}  # fmt: skip

Request = TypeVar("Request")
Answer = TypeVar("Answer")
Details = aio.ClientCallDetails
Continuation = Callable[[Any, Any], Awaitable[Any]]


def _name(details: Details) -> str:
    method = details.method
    text = method.decode() if isinstance(method, bytes) else method
    return text.rpartition("/")[2]


class MeteredRuntime(aio.UnaryUnaryClientInterceptor):
    """Calls of the runtime, by kind."""

    def __init__(self, meters: Meters, clock: Clock) -> None:
        self._meters = meters
        self._clock = clock

    @override
    async def intercept_unary_unary(
        self, continuation: Continuation, client_call_details: Details, request: Any
    ) -> Any:
        name = _name(client_call_details)
        kind = _OPERATIONS.get(name, name)
        began = self._clock.monotonic()
        call = await continuation(client_call_details, request)
        code = await call.code()
        self._meters.runtime_operations.add(kind)
        self._meters.runtime_seconds.observe(self._clock.monotonic() - began, kind)
        if code is not grpc.StatusCode.OK:
            self._meters.runtime_errors.add(kind)
        return call


class MeteredApi(aio.UnaryUnaryClientInterceptor):
    """Requests to the API server, as those of HTTP."""

    def __init__(self, meters: Meters, host: str) -> None:
        self._meters = meters
        self._host = host

    @override
    async def intercept_unary_unary(
        self, continuation: Continuation, client_call_details: Details, request: Any
    ) -> Any:
        call = await continuation(client_call_details, request)
        name = _name(client_call_details)
        code = 200 if await call.code() is grpc.StatusCode.OK else await _refusal(call)
        self._meters.requests.add(str(code), self._host, _VERBS.get(name, "POST"))
        return call


async def _refusal(call: Any) -> int:
    try:
        await call
    except aio.AioRpcError as error:
        return from_rpc(error).http
    return 200


class CountedCri(Cri):
    """A runtime whose starts are counted."""

    def __init__(self, channel: aio.Channel, meters: Meters) -> None:
        super().__init__(channel)
        self._meters = meters

    @override
    async def run_sandbox(self, config: SandboxConfig) -> str:
        self._meters.started_pods.add()
        try:
            return await super().run_sandbox(config)
        except ApiError as error:
            self._meters.started_pods_errors.add(error.reason)
            raise

    @override
    async def create_container(
        self, sandbox_id: str, sandbox: SandboxConfig, config: ContainerConfig, image_ref: str
    ) -> str:
        spec, kind = config.spec, "container"
        if spec in sandbox.pod.spec.init_containers:
            kind = "init_container"
        elif spec in sandbox.pod.spec.ephemeral_containers:
            kind = "ephemeral_container"
        self._meters.started_containers.add(kind)
        try:
            return await super().create_container(sandbox_id, sandbox, config, image_ref)
        except ApiError:
            self._meters.started_containers_errors.add("CreateContainerError", kind)
            raise


class CountedImages(CriImages):
    """Images whose pulls are timed."""

    def __init__(self, channel: aio.Channel, meters: Meters, clock: Clock) -> None:
        super().__init__(channel)
        self._meters = meters
        self._clock = clock

    @override
    async def pull(self, image: str, credentials: Credentials | None = None) -> Image:
        began = self._clock.monotonic()
        found = await super().pull(image, credentials)
        self._meters.pull_seconds.observe(self._clock.monotonic() - began, _size(found.size))
        return found


def _size(amount: int) -> str:
    """The range that a size in bytes is in, as the metric's label names it."""
    mebibytes = amount >> 20
    for least, label in ((1024, "1GB-10GB"), (500, "500MB-1GB"), (100, "100MB-500MB"),
                         (50, "50MB-100MB"), (10, "10MB-50MB")):  # fmt: skip
        if mebibytes >= least:
            return label
    return "0-10MB"


class CountedCluster(MeshCluster):
    """The API server, which is told when pods run: how long that took is counted."""

    def __init__(
        self, objects: Objects, services: Cache[Service], meters: Meters, clock: Clock
    ) -> None:
        super().__init__(objects, services)
        self._meters = meters
        self._clock = clock

    @override
    async def write_status(self, pod: Pod, status: dict[str, Any]) -> None:
        await super().write_status(pod, status)
        began = status.get("startTime") or pod.status.get("startTime")
        if status.get("phase") == "Running" and began:
            took = self._clock.now() - timestamps.parse(began)
            self._meters.pod_start.observe(max(took, 0.0))


class MeteredSurvey:
    """Surveys of the runtime: how long they take, and when the last was."""

    def __init__(self, survey: Survey, meters: Meters, clock: Clock) -> None:
        self._survey = survey
        self._meters = meters
        self._clock = clock
        self._last: float | None = None

    async def survey(self) -> Mapping[PodRef, frozenset[tuple[str, int]]]:
        """The same, counted."""
        began = self._clock.monotonic()
        if self._last is not None:
            self._meters.relist_interval.observe(began - self._last)
        try:
            return await self._survey.survey()
        finally:
            self._last = self._clock.monotonic()
            self._meters.relist_seconds.observe(self._last - began)
            self._meters.relist_seen.set(self._clock.now())

    def silence_seconds(self) -> float:
        """How long ago the last survey ended; 0 before the first."""
        return 0.0 if self._last is None else self._clock.monotonic() - self._last


class MeteredProbing:
    """Probes, by their container and result."""

    def __init__(self, probing: Probing, meters: ProbeMeters, clock: Clock) -> None:
        self._probing = probing
        self._meters = meters
        self._clock = clock
        self._pods: Pods | None = None

    def of(self, pods: Pods) -> None:
        """Whose containers are probed; before that nothing is counted."""
        self._pods = pods

    def _whose(self, id_: str) -> Pod | None:
        for worker in () if self._pods is None else self._pods.workers():
            if any(item.id == id_ for item in worker.observed.containers):
                return worker.pod
        return None

    async def check(self, probe: Probe, container: Container, running: Running, ip: str) -> Outcome:
        """The same, counted."""
        began = self._clock.monotonic()
        outcome = await self._probing.check(probe, container, running, ip)
        pod = self._whose(running.id)
        if pod is not None:
            metadata, result = pod.metadata, "successful" if outcome.passed else "failed"
            kind = _kind(probe, container)
            where = (container.name, metadata.namespace, metadata.name)
            self._meters.total.add(*where, metadata.uid, kind, result)
            self._meters.seconds.observe(self._clock.monotonic() - began, *where, kind)
        return outcome

    async def hook(self, hook: Hook, container: Container, running: Running, ip: str) -> Outcome:
        """Not counted."""
        return await self._probing.hook(hook, container, running, ip)


def _kind(probe: Probe, container: Container) -> str:
    if probe is container.startup_probe:
        return "Startup"
    return "Liveness" if probe is container.liveness_probe else "Readiness"
