"""CRI's calls about the runtime itself, and the stream of what happens in it."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

from pilothouse.cri_shim.oci.facts import Machine
from pilothouse.cri_shim.rpc import values
from pilothouse.cri_shim.store.events import Event, Events
from pilothouse.cri_shim.store.records import Store
from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.services.machinery.errors import ApiError, NotFound
from pilothouse.services.runtime.rpc.errors import Context

CRI_VERSION = "v1"
RUNTIME_API_VERSION = "0.1.0"


class Below(Protocol):
    """containerd."""

    async def version(self) -> str: ...


class Connected(Protocol):
    """The pods' network."""

    def problem(self) -> str: ...


@dataclass
class StateCalls:
    """Decode, one call, encode."""

    below: Below
    network: Connected
    store: Store
    events: Events
    machine: Machine
    handlers: dict[str, str]

    async def Version(self, request: cri.VersionRequest, context: Context) -> cri.VersionResponse:
        """Whose version counts for clients is the runtime's below."""
        return cri.VersionResponse(
            version=RUNTIME_API_VERSION,
            runtime_name="containerd",
            runtime_version=await self.below.version(),
            runtime_api_version=CRI_VERSION,
        )

    async def Status(self, request: cri.StatusRequest, context: Context) -> cri.StatusResponse:
        """Ready when containerd answers; the network is ready when it is configured."""
        runtime = cri.RuntimeCondition(type="RuntimeReady", status=True)
        try:
            await self.below.version()
        except ApiError as error:
            runtime = cri.RuntimeCondition(
                type="RuntimeReady", reason="RuntimeNotReady", message=error.message
            )
        problem = self.network.problem()
        network = cri.RuntimeCondition(type="NetworkReady", status=not problem)
        if problem:
            network.reason, network.message = "NetworkPluginNotReady", problem
        features = cri.RuntimeHandlerFeatures(
            recursive_read_only_mounts=self.machine.recursive_read_only
        )
        return cri.StatusResponse(
            status=cri.RuntimeStatus(conditions=[runtime, network]),
            info={"config": json.dumps({"server": version("pilothouse")})}
            if request.verbose
            else {},
            runtime_handlers=[
                cri.RuntimeHandler(name=name, features=features) for name in self.handlers
            ],
            features=cri.RuntimeFeatures(supplemental_groups_policy=True),
        )

    async def UpdateRuntimeConfig(
        self, request: cri.UpdateRuntimeConfigRequest, context: Context
    ) -> cri.UpdateRuntimeConfigResponse:
        """The pod CIDR reaches CNI by its own files."""
        return cri.UpdateRuntimeConfigResponse()

    async def RuntimeConfig(
        self, request: cri.RuntimeConfigRequest, context: Context
    ) -> cri.RuntimeConfigResponse:
        """Who makes cgroups."""
        driver = cri.SYSTEMD if self.machine.systemd_cgroups else cri.CGROUPFS
        linux = cri.LinuxRuntimeConfiguration(cgroup_driver=driver)
        return cri.RuntimeConfigResponse(linux=linux)

    async def GetContainerEvents(
        self, request: cri.GetEventsRequest, context: Context
    ) -> AsyncIterator[cri.ContainerEventResponse]:
        """From now on; who is more than 1,000 events behind gets RESOURCE_EXHAUSTED."""
        async for event in self.events.listen():
            yield self._event(event)

    def _event(self, event: Event) -> cri.ContainerEventResponse:
        type_: Any = event.type
        told = cri.ContainerEventResponse(
            container_id=event.id, container_event_type=type_, created_at=event.at
        )
        try:
            record = self.store.sandbox(event.sandbox_id)
        except NotFound:
            return told
        told.pod_sandbox_status.CopyFrom(values.sandbox_status(record))
        told.containers_statuses.extend(
            values.container_status(item) for item in self.store.of_sandbox(record.id)
        )
        return told
