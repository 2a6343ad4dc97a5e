"""CRI's calls about sandboxes."""

import json
from collections.abc import AsyncIterator

from pilothouse.cri_shim.configs import PodSandboxConfig
from pilothouse.cri_shim.records import READY, SandboxRecord
from pilothouse.cri_shim.rpc import values
from pilothouse.cri_shim.sandboxes.sandboxes import Sandboxes
from pilothouse.cri_shim.store import filters
from pilothouse.cri_shim.store.records import Store
from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.rpc.errors import Context

STREAMED = 100
"""Items in one message of a stream."""


class SandboxCalls:
    """Decode, one call, encode."""

    def __init__(self, sandboxes: Sandboxes, store: Store, clock: Clock) -> None:
        self._sandboxes = sandboxes
        self._store = store
        self._clock = clock

    async def RunPodSandbox(
        self, request: cri.RunPodSandboxRequest, context: Context
    ) -> cri.RunPodSandboxResponse:
        """It is ready with the answer."""
        config = values.decode(request.config, PodSandboxConfig)
        id_ = await self._sandboxes.run(config, request.runtime_handler)
        return cri.RunPodSandboxResponse(pod_sandbox_id=id_)

    async def StopPodSandbox(
        self, request: cri.StopPodSandboxRequest, context: Context
    ) -> cri.StopPodSandboxResponse:
        """Fine when it is stopped, or gone."""
        await self._sandboxes.stop(request.pod_sandbox_id)
        return cri.StopPodSandboxResponse()

    async def RemovePodSandbox(
        self, request: cri.RemovePodSandboxRequest, context: Context
    ) -> cri.RemovePodSandboxResponse:
        """Fine when it is gone."""
        await self._sandboxes.remove(request.pod_sandbox_id)
        return cri.RemovePodSandboxResponse()

    async def PodSandboxStatus(
        self, request: cri.PodSandboxStatusRequest, context: Context
    ) -> cri.PodSandboxStatusResponse:
        """With its containers, so that whoever needs both asks once."""
        record = self._store.sandbox(request.pod_sandbox_id)
        return cri.PodSandboxStatusResponse(
            status=values.sandbox_status(record),
            info={"info": _verbose(record)} if request.verbose else {},
            containers_statuses=[
                values.container_status(item) for item in self._store.of_sandbox(record.id)
            ],
            timestamp=int(self._clock.now() * 1_000_000_000),
        )

    async def ListPodSandbox(
        self, request: cri.ListPodSandboxRequest, context: Context
    ) -> cri.ListPodSandboxResponse:
        """Those that the filter lets pass."""
        return cri.ListPodSandboxResponse(items=self._list(request.filter))

    async def StreamPodSandboxes(
        self, request: cri.StreamPodSandboxesRequest, context: Context
    ) -> AsyncIterator[cri.StreamPodSandboxesResponse]:
        """The same, :data:`STREAMED` at a time; a slow client holds back its own stream only."""
        found = self._list(request.filter)
        for start in range(0, len(found), STREAMED):
            yield cri.StreamPodSandboxesResponse(pod_sandboxes=found[start : start + STREAMED])

    def _list(self, wanted: cri.PodSandboxFilter) -> list[cri.PodSandbox]:
        state = int(wanted.state.state) if wanted.HasField("state") else None
        found = filters.sandboxes(self._store.sandboxes(), wanted.id, state, wanted.label_selector)
        return [values.sandbox(record) for record in found]

    async def UpdatePodSandboxResources(
        self, request: cri.UpdatePodSandboxResourcesRequest, context: Context
    ) -> cri.UpdatePodSandboxResourcesResponse:
        """Told for the runtime's knowledge: the pod's own cgroup is the kubelet's."""
        self._store.sandbox(request.pod_sandbox_id)
        return cri.UpdatePodSandboxResourcesResponse()


def _verbose(record: SandboxRecord) -> str:
    return json.dumps(
        {
            "pid": record.pid,
            "processStatus": "running" if record.state == READY else "stopped",
            "netNamespaceClosed": not record.attached,
            "cgroupPath": record.cgroup_path,
            "netns": record.netns,
            "runtimeHandler": record.runtime_handler,
        }
    )
