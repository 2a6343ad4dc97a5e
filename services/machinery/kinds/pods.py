"""Facts about pods."""

import msgspec
from msgspec import field

from pilothouse.services.machinery import conditions, quantity, timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds.affinity import Affinity
from pilothouse.services.machinery.objects import Metadata, View

EMPTY = msgspec.Raw(b"{}")


class ContainerPort(View, frozen=True, kw_only=True):
    container_port: int = 0
    name: str = ""
    protocol: str = "TCP"
    host_port: int = 0
    host_ip: str = field(default="", name="hostIP")


class Resources(View, frozen=True, kw_only=True):
    requests: dict[str, str | int | float] = {}
    limits: dict[str, str | int | float] = {}


class Container(View, frozen=True, kw_only=True):
    """What others than the kubelet need of a container; the kubelet has its own, full view."""

    name: str
    image: str = ""
    ports: tuple[ContainerPort, ...] = ()
    resources: Resources = Resources()
    restart_policy: str = ""


class Toleration(View, frozen=True, kw_only=True):
    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class ReadinessGate(View, frozen=True, kw_only=True):
    condition_type: str


class ClaimSource(View, frozen=True, kw_only=True):
    claim_name: str = ""


class EphemeralSource(View, frozen=True, kw_only=True):
    """A claim that comes and goes with the pod; the template is the bytes it is made of."""

    volume_claim_template: msgspec.Raw = EMPTY


class InlineDriverVolume(View, frozen=True, kw_only=True):
    """A volume that a CSI driver makes for this pod alone."""

    driver: str = ""


class Volume(View, frozen=True, kw_only=True):
    """A volume, as far as it is made of a claim or by a driver."""

    name: str = ""
    persistent_volume_claim: ClaimSource | None = None
    ephemeral: EphemeralSource | None = None
    csi: InlineDriverVolume | None = None


class PodClaim(View, frozen=True, kw_only=True):
    """Devices that it needs: a claim that is there, or one to be made of a template."""

    name: str = ""
    resource_claim_name: str | None = None
    resource_claim_template_name: str | None = None


class Spec(View, frozen=True, kw_only=True):
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    node_name: str = ""
    scheduler_name: str = "default-scheduler"
    node_selector: dict[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()
    restart_policy: str = "Always"
    host_network: bool = False
    priority: int = 0
    termination_grace_period_seconds: int | None = None
    overhead: dict[str, str | int | float] = {}
    readiness_gates: tuple[ReadinessGate, ...] = ()
    hostname: str = ""
    subdomain: str = ""
    service_account_name: str = ""
    volumes: tuple[Volume, ...] = ()
    affinity: Affinity | None = None
    resource_claims: tuple[PodClaim, ...] = ()
    resources: Resources = Resources()


class PodIP(View, frozen=True, kw_only=True):
    ip: str = ""


class Terminated(View, frozen=True, kw_only=True):
    exit_code: int = 0
    finished_at: str | None = None


class ContainerState(View, frozen=True, kw_only=True):
    """What others than the kubelet ask of a container's state: whether it runs, how it ended."""

    running: View | None = None
    terminated: Terminated | None = None


class ContainerStatus(View, frozen=True, kw_only=True):
    name: str = ""
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()


class ClaimStatus(View, frozen=True, kw_only=True):
    """``name`` is the pod's for it; without the claim's it needs none."""

    name: str = ""
    resource_claim_name: str | None = None


class Status(View, frozen=True, kw_only=True):
    phase: str = "Pending"
    reason: str = ""
    conditions: tuple[Condition, ...] = ()
    pod_ip: str = field(default="", name="podIP")
    pod_ips: tuple[PodIP, ...] = field(default=(), name="podIPs")
    host_ip: str = field(default="", name="hostIP")
    start_time: str | None = None
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    nominated_node_name: str = ""
    resource_claim_statuses: tuple[ClaimStatus, ...] = ()
    extended_resource_claim_status: ClaimStatus | None = None


class Pod(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: Spec = Spec()
    status: Status = Status()


class PodTemplate(View, frozen=True, kw_only=True):
    """``spec.template``: metadata typed, the rest as the bytes that new pods are made of."""

    metadata: Metadata = Metadata()
    spec: msgspec.Raw = EMPTY


def is_terminal(pod: Pod) -> bool:
    """Whether its containers have ended for good."""
    return pod.status.phase in {"Succeeded", "Failed"}


def uses_volumes(pod: Pod) -> bool:
    """Whether volumes are to be had on its node: until it has ended, or stands still to go."""
    if is_terminal(pod):
        return False
    statuses = pod.status.container_statuses
    return not pod.metadata.deleting or any(item.state.running is not None for item in statuses)


def is_active(pod: Pod) -> bool:
    """Whether it counts as a replica: neither ended nor being deleted."""
    return not pod.metadata.deleting and not is_terminal(pod)


def is_ready(pod: Pod) -> bool:
    return conditions.is_true(pod.status.conditions, "Ready")


def ready_since(pod: Pod) -> float | None:
    """When it became ready, in seconds since the epoch."""
    ready = conditions.find(pod.status.conditions, "Ready")
    if ready is None or ready.status != "True":
        return None
    return timestamps.parse(ready.last_transition_time) if ready.last_transition_time else 0.0


def available_in(pod: Pod, min_ready_seconds: int, now: float) -> float | None:
    """Seconds until it counts as available; 0 when it does, None when it is not ready."""
    if min_ready_seconds == 0:
        return 0.0 if is_ready(pod) else None
    since = ready_since(pod)
    if since is None:
        return None
    return max(since + min_ready_seconds - now, 0.0)


def requests(spec: Spec) -> dict[str, int]:
    """What the scheduler reserves: ``cpu`` in thousandths, all else in whole units.

    The larger of the sum over containers (with sidecars) and the greatest init container beside
    the sidecars started before it, plus the overhead.
    """
    running: dict[str, int] = {}
    for container in spec.containers:
        _add(running, _amounts(container.resources.requests))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.init_containers:
        needs = _amounts(container.resources.requests)
        if container.restart_policy == "Always":
            _add(sidecars, needs)
            _raise(peak, sidecars)
        else:
            beside = dict(sidecars)
            _add(beside, needs)
            _raise(peak, beside)
    _add(running, sidecars)
    _raise(running, peak)
    _add(running, _amounts(spec.overhead))
    return running


def _amounts(amounts: dict[str, str | int | float]) -> dict[str, int]:
    return {
        name: quantity.milli(amount) if name == "cpu" else quantity.ceiling(amount)
        for name, amount in amounts.items()
    }


def _add(total: dict[str, int], more: dict[str, int]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _raise(total: dict[str, int], floor: dict[str, int]) -> None:
    for name, amount in floor.items():
        total[name] = max(total.get(name, 0), amount)


def tolerates(toleration: Toleration, key: str, value: str, effect: str) -> bool:
    """Whether it tolerates this taint."""
    if toleration.effect and toleration.effect != effect:
        return False
    if toleration.key and toleration.key != key:
        return False
    if toleration.operator == "Exists":
        return True
    return bool(toleration.key) and toleration.value == value
