"""``v1.PodResourcesLister``: which container has which devices, for monitors of this node."""

from collections.abc import Callable, Iterable

from typing_extensions import override

from pilothouse.protos.podresources.v1 import api_pb2 as pb
from pilothouse.protos.podresources.v1.api_pb2_grpc import (
    PodResourcesListerServicer,
    add_PodResourcesListerServicer_to_server,
)
from pilothouse.services.kubelet.devices.inventory import Inventory, Offer
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.kubelet.workers.worker import PodWorker
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.rpc.errors import Context
from pilothouse.services.runtime.rpc.server import Service


class PodResources(PodResourcesListerServicer):
    """Reads what is remembered; asks nobody."""

    def __init__(self, pods: Pods, inventory: Callable[[], Inventory]) -> None:
        self._pods = pods
        self._inventory = inventory

    @override
    async def List(
        self, request: pb.ListPodResourcesRequest, context: Context
    ) -> pb.ListPodResourcesResponse:
        present = [worker for worker in self._pods.workers() if _is_active(worker)]
        return pb.ListPodResourcesResponse(
            pod_resources=[self._pod(worker.pod) for worker in present]
        )

    @override
    async def Get(
        self, request: pb.GetPodResourcesRequest, context: Context
    ) -> pb.GetPodResourcesResponse:
        found = self._pods.find(Key(request.pod_namespace, request.pod_name))
        if found is None:
            name = f"{request.pod_namespace}/{request.pod_name}"
            raise NotFound(f"pod {name} not found")
        if not _is_active(found):
            raise NotFound(
                f"pod {request.pod_name} in namespace {request.pod_namespace} not active"
            )
        return pb.GetPodResourcesResponse(pod_resources=self._pod(found.pod))

    @override
    async def GetAllocatableResources(
        self, request: pb.AllocatableResourcesRequest, context: Context
    ) -> pb.AllocatableResourcesResponse:
        offers = self._inventory().offers
        return pb.AllocatableResourcesResponse(
            devices=[
                _devices(
                    name, offer, [item.id for item in offer.devices.values() if item.is_healthy]
                )
                for name, offer in sorted(offers.items())
                if offer.gone_at is None
            ],
            cpu_ids=sorted(self._pods.processors.allocatable()),
        )

    def _pod(self, pod: Pod) -> pb.PodResources:
        sidecars = [item for item in pod.spec.init_containers if item.is_sidecar]
        inventory = self._inventory()
        return pb.PodResources(
            name=pod.metadata.name,
            namespace=pod.metadata.namespace,
            containers=[
                pb.ContainerResources(
                    name=item.name,
                    cpu_ids=sorted(self._pods.processors.own(pod.uid, item.name)),
                    devices=[
                        _devices(given.resource, inventory.offers.get(given.resource), given.ids)
                        for given in inventory.of(pod.uid, item.name)
                    ],
                )
                for item in (*sidecars, *pod.spec.containers)
            ],
        )


def _is_active(worker: PodWorker) -> bool:
    return worker.phase not in {"Succeeded", "Failed"}


def _devices(resource: str, offer: Offer | None, ids: Iterable[str]) -> pb.ContainerDevices:
    ids = sorted(ids)
    known = {} if offer is None else offer.devices
    near = sorted({node for id_ in ids if id_ in known for node in known[id_].numa_nodes})
    message = pb.ContainerDevices(resource_name=resource, device_ids=ids)
    if near:
        message.topology.nodes.extend(pb.NUMANode(ID=node) for node in near)
    return message


def service(pods: Pods, inventory: Callable[[], Inventory]) -> Service:
    """For :func:`pilothouse.services.runtime.rpc.server.serve`."""
    servicer = PodResources(pods, inventory)
    return Service(
        pb.DESCRIPTOR.services_by_name["PodResourcesLister"].full_name,
        lambda server: add_PodResourcesListerServicer_to_server(servicer, server),
    )
