"""Memory from as few NUMA nodes as will do, for containers of Guaranteed pods (policy Static).

Nodes that serve one container together serve others only together: so no group is ever torn. Pure.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations

from pilothouse.services.kubelet.configuration.fields import KubeletConfiguration
from pilothouse.services.kubelet.pod.views import Container, Pod
from pilothouse.services.kubelet.resources import amounts, qos
from pilothouse.services.kubelet.resources.exclusive import Unassignable
from pilothouse.services.machinery import quantity

POLICY = "Static"
MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Claim:
    """What one container has: bytes, of these nodes."""

    nodes: tuple[int, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Holdings:
    """``banks``: bytes by NUMA node that may be handed out. ``own``: by pod and container."""

    banks: Mapping[int, int]
    own: Mapping[str, Mapping[str, Claim]] = field(default_factory=dict)

    def claims(self) -> list[Claim]:
        """Every one."""
        return [claim for containers in self.own.values() for claim in containers.values()]


def start(banks: Mapping[int, int], kept: int, kubelet: KubeletConfiguration) -> Holdings:
    """Nobody has any yet. ``kept``: what the node keeps from pods in all.

    ValueError when reservedMemory is not exactly that, or of a node that is not there.
    """
    reserved: dict[int, int] = {}
    for item in kubelet.reserved_memory:
        if item.numa_node not in banks:
            raise ValueError(f"reservedMemory: NUMA node {item.numa_node} is not there")
        amount = quantity.ceiling(item.limits.get(MEMORY, "0"))
        reserved[item.numa_node] = reserved.get(item.numa_node, 0) + amount
    total = sum(reserved.values())
    if total != kept:
        raise ValueError(
            f'the total amount "{total}" of type "memory" is not equal to the value "{kept}" '
            "determined by Node Allocatable feature"
        )
    return Holdings({node: amount - reserved.get(node, 0) for node, amount in banks.items()})


def wanted(pod: Pod, container: Container) -> int:
    """Bytes that are a container's own; 0: it has of all nodes."""
    if qos.qos_class(pod) != "Guaranteed":
        return 0
    return amounts.of_container(container, "requests").get(MEMORY, 0)


def allocate(now: Holdings, pod: Pod) -> Holdings:
    """With what the pod's containers need."""
    own = dict(now.own.get(pod.uid, {}))
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        size = wanted(pod, container)
        if not size or container.name in own:
            continue
        nodes = _fitting(replace(now, own={**now.own, pod.uid: own}), size)
        if nodes is None:
            text = (
                "Allocate failed due to [memorymanager] failed to get the default NUMA affinity, "
                "no NUMA nodes with enough memory is available, which is unexpected"
            )
            raise Unassignable("UnexpectedAdmissionError", text)
        own[container.name] = Claim(nodes, size)
    return replace(now, own={**now.own, pod.uid: own}) if own else now


def _fitting(now: Holdings, size: int) -> tuple[int, ...] | None:
    """The smallest group with so much left."""
    claims = now.claims()
    for count in range(1, len(now.banks) + 1):
        for group in combinations(sorted(now.banks), count):
            beside = [claim for claim in claims if set(claim.nodes) & set(group)]
            if any(claim.nodes != group for claim in beside):
                continue
            left = sum(now.banks[node] for node in group) - sum(item.bytes for item in beside)
            if left >= size:
                return group
    return None


def keep(now: Holdings, is_here: Callable[[str], bool]) -> Holdings:
    """Without those of pods that are gone."""
    left = {uid: containers for uid, containers in now.own.items() if is_here(uid)}
    return now if len(left) == len(now.own) else replace(now, own=left)


def written(now: Holdings) -> str:
    """The file ``memory_manager_state``."""
    body = {
        "policyName": POLICY,
        "machineState": {str(node): amount for node, amount in sorted(now.banks.items())},
        "entries": {
            uid: {
                name: {"numaAffinity": list(claim.nodes), "type": MEMORY, "size": claim.bytes}
                for name, claim in sorted(containers.items())
            }
            for uid, containers in sorted(now.own.items())
        },
    }
    return json.dumps(body | {"checksum": _checksum(body)}, sort_keys=True)


def read(text: str, empty: Holdings) -> Holdings:
    """What the file says; ValueError when it is damaged or of another machine."""
    body = json.loads(text)
    checksum = body.pop("checksum", None)
    if checksum != _checksum(body):
        raise ValueError("memory_manager_state: checkpoint is corrupted")
    banks = {int(node): amount for node, amount in body["machineState"].items()}
    if banks != empty.banks:
        raise ValueError("memory_manager_state does not fit the memory of this machine")
    own = {
        uid: {
            name: Claim(tuple(item["numaAffinity"]), item["size"])
            for name, item in containers.items()
        }
        for uid, containers in body["entries"].items()
    }
    return replace(empty, own=own)


def listed(nodes: Iterable[int]) -> str:
    """As the kernel takes them."""
    return ",".join(str(node) for node in nodes)


def _checksum(body: Mapping[str, object]) -> int:
    return zlib.crc32(json.dumps(body, sort_keys=True).encode())
