"""The Node object: who this node is, what it has, how it feels. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilothouse.services.kubelet.ports import RuntimeState
from pilothouse.services.machinery import conditions, timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.kinds.nodes import HOSTNAME

VERSION = "v1.37.0"
REPORT_SECONDS = 300.0
"""The status is written this often even when nothing changed."""
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Machine:
    """What the hardware and the system are; amounts in bytes."""

    cpus: int
    memory_bytes: int
    storage_bytes: int
    architecture: str
    machine_id: str
    system_uuid: str
    boot_id: str
    kernel_version: str
    os_image: str


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


def allocatable(identity: Identity, machine: Machine) -> dict[str, str]:
    """What pods may have together, as quantities."""
    return {
        "cpu": str(machine.cpus),
        "ephemeral-storage": str(machine.storage_bytes),
        "memory": f"{machine.memory_bytes // 1024}Ki",
        "pods": str(identity.pods_max),
    }


def render(
    identity: Identity,
    machine: Machine,
    state: RuntimeState,
    recorded: Sequence[Condition],
    now: float,
) -> dict[str, Any]:
    """The whole status."""
    amounts = allocatable(identity, machine)
    return {
        "addresses": [
            {"type": "InternalIP", "address": identity.ip},
            {"type": "Hostname", "address": identity.name},
        ],
        "capacity": amounts,
        "allocatable": amounts,
        "conditions": _conditions(state, recorded, now),
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
    }


def _conditions(
    state: RuntimeState, recorded: Sequence[Condition], now: float
) -> list[dict[str, Any]]:
    problems = [text for text in (state.runtime_problem, state.network_problem) if text]
    ready = Condition(
        type="Ready",
        status="False" if problems else "True",
        reason="KubeletNotReady" if problems else "KubeletReady",
        message="; ".join(problems) or "kubelet is posting ready status",
    )
    made = [
        Condition(
            type="MemoryPressure",
            status="False",
            reason="KubeletHasSufficientMemory",
            message="kubelet has sufficient memory available",
        ),
        Condition(
            type="DiskPressure",
            status="False",
            reason="KubeletHasNoDiskPressure",
            message="kubelet has no disk pressure",
        ),
        Condition(
            type="PIDPressure",
            status="False",
            reason="KubeletHasSufficientPID",
            message="kubelet has sufficient PID available",
        ),
        ready,
    ]
    beat = {"lastHeartbeatTime": timestamps.render(now)}
    return [
        beat | conditions.render(item, conditions.find(recorded, item.type), now) for item in made
    ]


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
