"""Facts about Services and their endpoints."""

from msgspec import field

from pilothouse.services.machinery.objects import Metadata, View

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


class ServicePort(View, frozen=True, kw_only=True):
    port: int
    name: str = ""
    protocol: str = "TCP"
    target_port: int | str | None = None
    node_port: int = 0
    app_protocol: str | None = None


class ClientIPConfig(View, frozen=True, kw_only=True):
    timeout_seconds: int = 10800


class SessionAffinityConfig(View, frozen=True, kw_only=True):
    client_ip: ClientIPConfig = field(default=ClientIPConfig(), name="clientIP")


class ServiceSpec(View, frozen=True, kw_only=True):
    type: str = "ClusterIP"
    selector: dict[str, str] = {}
    ports: tuple[ServicePort, ...] = ()
    cluster_ip: str = field(default="", name="clusterIP")
    cluster_ips: tuple[str, ...] = field(default=(), name="clusterIPs")
    ip_families: tuple[str, ...] = ()
    session_affinity: str = "None"
    session_affinity_config: SessionAffinityConfig | None = None
    publish_not_ready_addresses: bool = False
    external_traffic_policy: str = "Cluster"
    internal_traffic_policy: str = "Cluster"
    health_check_node_port: int = 0
    external_ips: tuple[str, ...] = field(default=(), name="externalIPs")
    traffic_distribution: str | None = None


class Service(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: ServiceSpec = ServiceSpec()


class EndpointConditions(View, frozen=True, kw_only=True):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class TargetReference(View, frozen=True, kw_only=True):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""


class ForName(View, frozen=True, kw_only=True):
    """A zone or a node that an endpoint is meant for."""

    name: str = ""


class Hints(View, frozen=True, kw_only=True):
    """For whom an endpoint is meant, where everybody has such."""

    for_zones: tuple[ForName, ...] | None = ()
    for_nodes: tuple[ForName, ...] | None = ()


class Endpoint(View, frozen=True, kw_only=True):
    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    node_name: str | None = None
    zone: str | None = None
    target_ref: TargetReference | None = None
    hints: Hints | None = None


class EndpointPort(View, frozen=True, kw_only=True):
    port: int | None = None
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str | None = None


class EndpointSlice(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    address_type: str = "IPv4"
    endpoints: tuple[Endpoint, ...] | None = ()
    ports: tuple[EndpointPort, ...] | None = ()


def is_headless(service: Service) -> bool:
    """Whether it has no virtual address on purpose."""
    return service.spec.cluster_ip == "None"


class EndpointAddress(View, frozen=True, kw_only=True):
    """One address of the older kind, Endpoints."""

    ip: str = ""
    hostname: str = ""
    node_name: str | None = None
    target_ref: TargetReference | None = None


class EndpointSubset(View, frozen=True, kw_only=True):
    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class Endpoints(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    subsets: tuple[EndpointSubset, ...] | None = ()
