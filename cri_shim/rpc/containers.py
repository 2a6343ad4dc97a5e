"""CRI's calls about containers."""

import json
from collections.abc import AsyncIterator

from pilothouse.cri_shim.configs import ContainerConfig, PodSandboxConfig, Resources
from pilothouse.cri_shim.containers.containers import Containers
from pilothouse.cri_shim.containers.creation import Creation
from pilothouse.cri_shim.records import ContainerRecord
from pilothouse.cri_shim.rpc import values
from pilothouse.cri_shim.store import filters
from pilothouse.cri_shim.store.records import Store
from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.services.runtime.rpc.errors import Context

STREAMED = 100
"""Items in one message of a stream."""


class ContainerCalls:
    """Decode, one call, encode."""

    def __init__(self, containers: Containers, creation: Creation, store: Store) -> None:
        self._containers = containers
        self._creation = creation
        self._store = store

    async def CreateContainer(
        self, request: cri.CreateContainerRequest, context: Context
    ) -> cri.CreateContainerResponse:
        """It can be started."""
        config = values.decode(request.config, ContainerConfig)
        sandbox = None
        if request.HasField("sandbox_config"):
            sandbox = values.decode(request.sandbox_config, PodSandboxConfig)
        id_ = await self._creation.create(request.pod_sandbox_id, config, sandbox)
        return cri.CreateContainerResponse(container_id=id_)

    async def StartContainer(
        self, request: cri.StartContainerRequest, context: Context
    ) -> cri.StartContainerResponse:
        """It runs; once only."""
        await self._containers.start(request.container_id)
        return cri.StartContainerResponse()

    async def StopContainer(
        self, request: cri.StopContainerRequest, context: Context
    ) -> cri.StopContainerResponse:
        """Fine when it ended, or is gone."""
        await self._containers.stop(request.container_id, request.timeout)
        return cri.StopContainerResponse()

    async def RemoveContainer(
        self, request: cri.RemoveContainerRequest, context: Context
    ) -> cri.RemoveContainerResponse:
        """Fine when it is gone."""
        await self._containers.remove(request.container_id)
        return cri.RemoveContainerResponse()

    async def ListContainers(
        self, request: cri.ListContainersRequest, context: Context
    ) -> cri.ListContainersResponse:
        """Those that the filter lets pass."""
        return cri.ListContainersResponse(containers=self._list(request.filter))

    async def StreamContainers(
        self, request: cri.StreamContainersRequest, context: Context
    ) -> AsyncIterator[cri.StreamContainersResponse]:
        """The same, :data:`STREAMED` at a time; a slow client holds back its own stream only."""
        found = self._list(request.filter)
        for start in range(0, len(found), STREAMED):
            yield cri.StreamContainersResponse(containers=found[start : start + STREAMED])

    def _list(self, wanted: cri.ContainerFilter) -> list[cri.Container]:
        state = int(wanted.state.state) if wanted.HasField("state") else None
        found = filters.containers(
            self._store.containers(), (wanted.id, wanted.pod_sandbox_id), state,
            wanted.label_selector,
        )  # fmt: skip
        return [values.container(record) for record in found]

    async def ContainerStatus(
        self, request: cri.ContainerStatusRequest, context: Context
    ) -> cri.ContainerStatusResponse:
        """All that is known of it."""
        record = self._store.container(request.container_id)
        return cri.ContainerStatusResponse(
            status=values.container_status(record),
            info={"info": _verbose(record)} if request.verbose else {},
        )

    async def UpdateContainerResources(
        self, request: cri.UpdateContainerResourcesRequest, context: Context
    ) -> cri.UpdateContainerResourcesResponse:
        """What is not said stays."""
        asked = values.decode(request.linux, Resources)
        await self._containers.update(request.container_id, asked)
        return cri.UpdateContainerResourcesResponse()


def _verbose(record: ContainerRecord) -> str:
    return json.dumps(
        {
            "sandboxID": record.sandbox_id,
            "pid": record.pid,
            "snapshotKey": record.snapshot_key,
            "snapshotter": record.snapshotter,
            "cgroupPath": record.cgroup_path,
            "process": record.process,
        }
    )
