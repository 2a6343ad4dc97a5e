"""The Node object: who this node is, what it has, how it feels. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilothouse.services.kubelet.ports import RuntimeState
from pilothouse.services.kubelet.resources import allocatable as rest
from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds.attachments import BY_CONTROLLER
from pilothouse.services.machinery.kinds.nodes import HOSTNAME

VERSION = "v1.37.0"
REPORT_SECONDS = 300.0
"""The status is written this often even when nothing changed."""
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0


PRESSURES = {
    "MemoryPressure": (
        ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    ),
    "DiskPressure": (
        ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("KubeletHasDiskPressure", "kubelet has disk pressure"),
    ),
    "PIDPressure": (
        ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
    ),
}
"""Conditions, with reason and message when there is none, and when there is."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the hardware and the system are; amounts in bytes.

    ``hugepages``: by their size (``2Mi``). ``reserved``: what pods do not get, by resource, CPU in
    thousandths.
    """

    cpus: int
    memory_bytes: int
    storage_bytes: int
    architecture: str
    machine_id: str
    system_uuid: str
    boot_id: str
    kernel_version: str
    os_image: str
    hugepages: Mapping[str, int] = field(default_factory=dict)
    reserved: Mapping[str, int] = field(default_factory=dict)
    swap_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the node is to others.

    ``labels``: beside those of every node. ``taints``: what it keeps off from its first moment.
    """

    name: str
    ip: str
    port: int
    pods_max: int
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()
    annotations: Mapping[str, str] = field(default_factory=lambda: {BY_CONTROLLER: "true"})


def labels(identity: Identity, machine: Machine) -> dict[str, str]:
    """The labels that a kubelet gives its node."""
    return {
        "beta.kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.architecture,
        HOSTNAME: identity.name,
        "kubernetes.io/os": "linux",
        **identity.labels,
    }


def amounts(identity: Identity, machine: Machine) -> dict[str, int]:
    """What the node has; CPU in thousandths."""
    return {
        "cpu": machine.cpus * 1000,
        "ephemeral-storage": machine.storage_bytes,
        "memory": machine.memory_bytes,
        "pods": identity.pods_max,
        **{f"hugepages-{size}": amount for size, amount in machine.hugepages.items()},
    }


def capacity(identity: Identity, machine: Machine) -> dict[str, str]:
    """What the node has, as quantities."""
    return rest.rendered(amounts(identity, machine))


def allocatable(identity: Identity, machine: Machine) -> dict[str, str]:
    """What pods may have together, as quantities; huge pages are not theirs as memory too."""
    kept = dict(machine.reserved)
    kept["memory"] = kept.get("memory", 0) + sum(machine.hugepages.values())
    return rest.rendered(rest.left(amounts(identity, machine), kept))


def render(
    identity: Identity,
    machine: Machine,
    state: RuntimeState,
    recorded: Sequence[Condition],
    now: float,
    pressures: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The whole status; ``pressures``: the conditions of pressure that hold."""
    return {
        "addresses": [
            {"type": "InternalIP", "address": identity.ip},
            {"type": "Hostname", "address": identity.name},
        ],
        "capacity": {**capacity(identity, machine), **state.capacity},
        "allocatable": {**allocatable(identity, machine), **state.allocatable},
        "conditions": _conditions(state, recorded, now, pressures),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": identity.port}},
        "nodeInfo": {
            "architecture": machine.architecture,
            "bootID": machine.boot_id,
            "containerRuntimeVersion": f"{state.name}://{state.version}",
            "kernelVersion": machine.kernel_version,
            "kubeProxyVersion": "",
            "kubeletVersion": VERSION,
            "machineID": machine.machine_id,
            "operatingSystem": "linux",
            "osImage": machine.os_image,
            "systemUUID": machine.system_uuid,
        },
        **_abilities(state),
    }


def _abilities(state: RuntimeState) -> dict[str, Any]:
    """What the runtime says that it can do."""
    told: dict[str, Any] = {}
    if state.handlers:
        told["runtimeHandlers"] = [
            {
                "name": item.name,
                "features": {
                    "recursiveReadOnlyMounts": item.recursive_read_only,
                    "userNamespaces": item.user_namespaces,
                },
            }
            for item in state.handlers
        ]
    if state.strict_groups is not None:
        told["features"] = {"supplementalGroupsPolicy": state.strict_groups}
    return told


def _conditions(
    state: RuntimeState, recorded: Sequence[Condition], now: float, pressures: frozenset[str]
) -> list[dict[str, Any]]:
    problems = [text for text in (state.runtime_problem, state.network_problem) if text]
    ready = Condition(
        type="Ready",
        status="False" if problems else "True",
        reason="KubeletNotReady" if problems else "KubeletReady",
        message="; ".join(problems) or "kubelet is posting ready status",
    )
    made = [pressure(type_, has=type_ in pressures) for type_ in PRESSURES] + [ready]
    beat = {"lastHeartbeatTime": timestamps.render(now)}
    return [
        beat | conditions.render(item, conditions.find(recorded, item.type), now) for item in made
    ]


def pressure(type_: str, *, has: bool) -> Condition:
    """A condition of pressure, as it is told."""
    reason, message = PRESSURES[type_][has]
    return Condition(type=type_, status=str(has), reason=reason, message=message)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two statuses differ in no more than their heartbeat."""
    return _without_beat(one) == _without_beat(other)


def _without_beat(status: dict[str, Any]) -> dict[str, Any]:
    return status | {
        "conditions": [
            {key: value for key, value in item.items() if key != "lastHeartbeatTime"}
            for item in status["conditions"]
        ]
    }


def conflist(pod_cidr: str, mtu: int, state_directory: str) -> dict[str, Any]:
    """The node's CNI configuration: a bridge whose addresses come from ``pod_cidr``."""
    return {
        "cniVersion": "1.0.0",
        "name": "pilothouse",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "hairpinMode": True,
                "mtu": mtu,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": pod_cidr}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": state_directory,
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
        ],
    }
