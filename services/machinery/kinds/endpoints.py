"""Facts about which pods stand behind a Service, and under which addresses and ports."""

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.services import (
    Endpoint,
    EndpointConditions,
    EndpointPort,
    Service,
    ServicePort,
    TargetReference,
)

SLICE_CONTROLLER = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"
ZONE = "topology.kubernetes.io/zone"
IPV4 = "IPv4"
IPV6 = "IPv6"

Port = TypeVar("Port", bound=Hashable)
Who = tuple[str, str]
"""An address, and the uid of what has it."""


def is_selecting(service: Service) -> bool:
    """Whether its endpoints are found by its selector, not written by somebody else."""
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def behind(service: Service, candidates: Iterable[Pod]) -> list[Pod]:
    """Those that its selector means, whatever they are about."""
    wanted = service.spec.selector.items()
    return [pod for pod in candidates if wanted <= pod.metadata.labels.items()]


def selected(service: Service, candidates: Iterable[Pod]) -> list[Pod]:
    """Its pods that have an address and have not ended, by name."""
    found = [
        pod
        for pod in behind(service, candidates)
        if (pod.status.pod_ip or pod.status.pod_ips) and not pods.is_terminal(pod)
    ]
    return sorted(found, key=lambda pod: pod.metadata.name)


def families(service: Service) -> tuple[str, ...]:
    """Its own, the first one first; those of its addresses where it says none."""
    if service.spec.ip_families:
        return service.spec.ip_families
    known = (family_of(address) for address in service.spec.cluster_ips if address != "None")
    return tuple(dict.fromkeys(known)) or (IPV4,)


def family_of(address: str) -> str:
    return IPV6 if ":" in address else IPV4


def addresses(pod: Pod, family: str) -> tuple[str, ...]:
    """The pod's address of this family, if it has one."""
    known = [item.ip for item in pod.status.pod_ips] or [pod.status.pod_ip]
    return tuple(address for address in known if family_of(address) == family)[:1]


def ports(service: Service, pod: Pod) -> tuple[EndpointPort, ...]:
    """The Service's ports as numbers of this pod; a name the pod does not have leaves one out."""
    resolved = ((port, number(port, pod)) for port in service.spec.ports)
    return tuple(
        EndpointPort(
            port=target, name=port.name, protocol=port.protocol, app_protocol=port.app_protocol
        )
        for port, target in resolved
        if target is not None
    )


def number(port: ServicePort, pod: Pod) -> int | None:
    """Where in the pod ``port`` leads; containers that end before the others begin have none."""
    target = port.target_port
    if target is None or target in {0, ""}:
        return port.port
    if isinstance(target, int):
        return target
    sidecars = (item for item in pod.spec.init_containers if item.restart_policy == "Always")
    for container in (*pod.spec.containers, *sidecars):
        for declared in container.ports:
            if declared.name == target and declared.protocol == port.protocol:
                return declared.container_port
    return None


def endpoint(service: Service, pod: Pod, addressed: tuple[str, ...], zone: str | None) -> Endpoint:
    """The pod as an endpoint of ``service``."""
    serving = pods.is_ready(pod)
    going = pod.metadata.deleting
    published = service.spec.publish_not_ready_addresses
    named = pod.spec.hostname and pod.spec.subdomain == service.metadata.name
    return Endpoint(
        addresses=addressed,
        conditions=EndpointConditions(
            ready=published or (serving and not going), serving=serving, terminating=going
        ),
        hostname=pod.spec.hostname if named else None,
        node_name=pod.spec.node_name or None,
        zone=zone,
        target_ref=target(pod),
    )


def target(pod: Pod) -> TargetReference:
    metadata = pod.metadata
    return TargetReference(
        kind="Pod", namespace=metadata.namespace, name=metadata.name, uid=metadata.uid
    )


def repacked(
    told: Iterable[tuple[Port, Who, bool]],
) -> list[tuple[Sequence[Who], Sequence[Who], Sequence[Port]]]:
    """Endpoints as few subsets: those ready, those not, and the ports that all of them have.

    Who is told twice of a port, and once as not ready, is not ready.
    """
    by_port: dict[Port, dict[Who, bool]] = {}
    for port, who, ready in told:
        known = by_port.setdefault(port, {})
        known[who] = ready and known.get(who, True)
    grouped: dict[frozenset[tuple[Who, bool]], list[Port]] = {}
    for port, known in by_port.items():
        grouped.setdefault(frozenset(known.items()), []).append(port)
    return [
        (
            sorted(who for who, ready in found if ready),
            sorted(who for who, ready in found if not ready),
            ports,
        )
        for found, ports in grouped.items()
    ]
