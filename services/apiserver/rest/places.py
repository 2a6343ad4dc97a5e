"""Which kubelet a pod's streams lead to, and which container is meant."""

import msgspec

from pilothouse.services.apiserver.adapters.kubelet import Place
from pilothouse.services.apiserver.chain.ports import Live
from pilothouse.services.apiserver.requests import Target
from pilothouse.services.machinery.errors import (
    BadRequest,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Subject,
)
from pilothouse.services.machinery.objects import Key, View

KUBELET_PORT = 10250
PORT_MAX = 65535


class _Container(View, frozen=True, kw_only=True):
    name: str


class _Spec(View, frozen=True, kw_only=True):
    node_name: str = ""
    containers: tuple[_Container, ...] = ()
    init_containers: tuple[_Container, ...] = ()
    ephemeral_containers: tuple[_Container, ...] = ()


class _PodStatus(View, frozen=True, kw_only=True):
    phase: str = ""


class Pod(View, frozen=True, kw_only=True):
    spec: _Spec = _Spec()
    status: _PodStatus = _PodStatus()


class _Address(View, frozen=True, kw_only=True):
    type: str
    address: str


class _Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    port: int = msgspec.field(name="Port", default=KUBELET_PORT)


class _Endpoints(View, frozen=True, kw_only=True):
    kubelet_endpoint: _Endpoint = _Endpoint()


class _NodeStatus(View, frozen=True, kw_only=True):
    addresses: tuple[_Address, ...] = ()
    daemon_endpoints: _Endpoints = _Endpoints()


class _Node(View, frozen=True, kw_only=True):
    status: _NodeStatus = _NodeStatus()


class Places:
    """Looks pods and nodes up among what is live."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def pod(self, target: Target) -> Pod:
        """The pod; NotFound when there is none."""
        stored = self._live.find("", "pods", target.key)
        if stored is None:
            raise NotFound(
                f'pods "{target.name}" not found', subject=Subject(kind="pods", name=target.name)
            )
        return msgspec.json.decode(stored.json, type=Pod)

    def of_running(self, target: Target, pod: Pod) -> Place:
        """The kubelet of a pod whose containers may run."""
        if not pod.spec.node_name:
            raise BadRequest(f"pod {target.name} does not have a host assigned")
        if pod.status.phase in ("Succeeded", "Failed"):
            raise InternalError(
                "cannot exec into a container in a completed pod; current phase is "
                + pod.status.phase
            )
        return self.of_node(pod.spec.node_name)

    def of_node(self, node: str) -> Place:
        """Where the kubelet of a node answers, by what it told itself."""
        stored = self._live.find("", "nodes", Key("", node))
        if stored is None:
            raise NotFound(f'nodes "{node}" not found', subject=Subject(kind="nodes", name=node))
        status = msgspec.json.decode(stored.json, type=_Node).status
        address = next((each.address for each in status.addresses if each.type == "InternalIP"), "")
        port = status.daemon_endpoints.kubelet_endpoint.port
        if address and port == 0:
            raise MethodNotAllowed(
                f'node "{node}" serves no logs, exec, attach or port-forward: its kubelet tells no '
                "port, as those of simulated nodes"
            )
        if not address or not 0 < port <= PORT_MAX:
            raise InternalError(f'node "{node}" has told no address of its kubelet')
        return Place(node, address, port)


def container_of(target: Target, pod: Pod, asked: str) -> str:
    """The container that is meant; BadRequest where that is not clear."""
    spec = pod.spec
    every = (*spec.containers, *spec.init_containers, *spec.ephemeral_containers)
    if asked:
        if all(container.name != asked for container in every):
            raise BadRequest(f"container {asked} is not valid for pod {target.name}")
        return asked
    names = [container.name for container in spec.containers]
    if len(names) == 1:
        return names[0]
    message = (
        f"a container name must be specified for pod {target.name}, choose one of: "
        f"[{' '.join(names)}]"
    )
    if spec.init_containers:
        initial = " ".join(container.name for container in spec.init_containers)
        message += f" or one of the init containers: [{initial}]"
    raise BadRequest(message)
