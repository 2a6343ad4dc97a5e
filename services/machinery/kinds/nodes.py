"""Facts about nodes."""

from msgspec import field

from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.objects import Metadata, View

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
HOSTNAME = "kubernetes.io/hostname"
LEASE_NAMESPACE = "kube-node-lease"


class Taint(View, frozen=True, kw_only=True):
    key: str
    effect: str
    value: str = ""
    time_added: str | None = None


class Spec(View, frozen=True, kw_only=True):
    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()
    pod_cidr: str = field(default="", name="podCIDR")
    pod_cidrs: tuple[str, ...] = field(default=(), name="podCIDRs")


class Address(View, frozen=True, kw_only=True):
    type: str
    address: str


class KubeletEndpoint(View, frozen=True, kw_only=True):
    port: int = field(default=0, name="Port")


class DaemonEndpoints(View, frozen=True, kw_only=True):
    kubelet_endpoint: KubeletEndpoint = KubeletEndpoint()


class AttachedVolume(View, frozen=True, kw_only=True):
    name: str = ""


class Status(View, frozen=True, kw_only=True):
    capacity: dict[str, str | int | float] = {}
    allocatable: dict[str, str | int | float] = {}
    conditions: tuple[Condition, ...] = ()
    addresses: tuple[Address, ...] = ()
    daemon_endpoints: DaemonEndpoints = DaemonEndpoints()
    volumes_in_use: tuple[str, ...] = ()
    volumes_attached: tuple[AttachedVolume, ...] = ()


class Node(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: Spec = Spec()
    status: Status = Status()


class LeaseSpec(View, frozen=True, kw_only=True):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    renew_time: str | None = None


class Lease(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: LeaseSpec = LeaseSpec()


def internal_ip(node: Node) -> str:
    """Its first InternalIP, empty when it has none yet."""
    return next((item.address for item in node.status.addresses if item.type == "InternalIP"), "")
