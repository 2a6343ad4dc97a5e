"""CPUs of their own for containers of Guaranteed pods that ask for whole ones (policy static).

Whole sockets are taken first, then whole cores, then single threads of cores that are used anyway,
so that those who share a cache or a core are, where possible, one container. Pure.
"""

import json
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pilothouse.services.kubelet.pod.views import Container, Pod
from pilothouse.services.kubelet.resources import amounts, cpusets, qos
from pilothouse.services.kubelet.resources.admission import Rejection
from pilothouse.services.kubelet.resources.cpusets import Cpus

POLICY = "static"
FULL_CORES = "full-pcpus-only"
WHOLE = 1000


@dataclass(frozen=True, slots=True)
class Cpu:
    """Where one logical CPU is; ``core`` is unique in the machine, as are the others."""

    id: int
    core: int
    socket: int
    numa: int = 0


Topology = Mapping[int, Cpu]


@dataclass(frozen=True, slots=True)
class Assignments:
    """``own``: by pod and container; ``shared``: what all others run on, the reserved included."""

    shared: Cpus
    reserved: Cpus
    own: Mapping[str, Mapping[str, Cpus]] = field(default_factory=dict)

    def of(self, uid: str, container: str) -> Cpus:
        """A container's own; else those that are shared."""
        return self.own.get(uid, {}).get(container) or self.shared


class Unassignable(Exception):
    """The reason is one word, the message a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.rejection = Rejection(reason, message)


def wanted(pod: Pod, container: Container) -> int:
    """How many CPUs of its own a container gets; 0: it shares."""
    if qos.qos_class(pod) != "Guaranteed" or pod.spec.resources.limits:
        return 0
    milli = amounts.of_container(container, "requests").get("cpu", 0)
    return 0 if milli % WHOLE else milli // WHOLE


def is_exclusive(pod: Pod) -> bool:
    """Whether any container has CPUs of its own."""
    return any(wanted(pod, item) for item in (*pod.spec.init_containers, *pod.spec.containers))


def start(topology: Topology, reserved: Cpus, reserved_milli: int) -> Assignments:
    """Nobody has any yet; ValueError when nothing is reserved for the system."""
    if not reserved:
        count = -(-reserved_milli // WHOLE)
        if not count:
            raise ValueError(
                "the static policy requires systemreserved.cpu + kubereserved.cpu to be greater "
                "than zero"
            )
        reserved = take(topology, frozenset(topology), count)
    if not reserved <= set(topology):
        raise ValueError(f"reservedSystemCPUs {cpusets.render(reserved)} are not all online")
    return Assignments(frozenset(topology), reserved)


def take(topology: Topology, free: Cpus, count: int) -> Cpus:
    """``count`` of ``free``, by where they are; ValueError when there are not so many."""
    if count > len(free):
        raise ValueError(
            "not enough cpus available to satisfy request: "
            f"requested={count}, available={len(free)}"
        )
    taken: set[int] = set()
    for place in (_socket, _core):
        whole = Counter(place(topology[cpu]) for cpu in topology)
        left = Counter(place(topology[cpu]) for cpu in free - taken)
        for name in sorted(name for name, amount in left.items() if amount == whole[name]):
            members = {cpu for cpu in free - taken if place(topology[cpu]) == name}
            if len(taken) + len(members) <= count:
                taken |= members
    return frozenset(taken | set(_singles(topology, free - taken, count - len(taken), taken)))


def _socket(cpu: Cpu) -> int:
    return cpu.socket


def _core(cpu: Cpu) -> int:
    return cpu.core


def _singles(topology: Topology, free: Cpus, count: int, beside: set[int]) -> list[int]:
    """Near what was taken, and of cores of which the least is free."""
    sockets = Counter(topology[cpu].socket for cpu in beside)
    in_socket = Counter(topology[cpu].socket for cpu in free)
    in_core = Counter(topology[cpu].core for cpu in free)

    def key(cpu: int) -> tuple[int, int, int, int]:
        place = topology[cpu]
        return -sockets[place.socket], in_socket[place.socket], in_core[place.core], cpu

    return sorted(free, key=key)[:count]


def allocate(
    now: Assignments, topology: Topology, pod: Pod, *, full_cores: bool = False
) -> Assignments:
    """With what the pod's containers need; what an init container had, those after it may have."""
    own: dict[str, Cpus] = dict(now.own.get(pod.uid, {}))
    shared, reusable = now.shared, frozenset[int]()
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        count = wanted(pod, container)
        if not count or container.name in own:
            continue
        if full_cores:
            _check_cores(topology, count)
        free = (shared - now.reserved) | reusable
        try:
            first = take(topology, reusable, min(count, len(reusable)))
            found = first | take(topology, free - first, count - len(first))
        except ValueError as error:
            text = f"Allocate failed due to {error}, which is unexpected"
            raise Unassignable("UnexpectedAdmissionError", text) from None
        own[container.name] = found
        shared -= found
        passes = container in pod.spec.init_containers and not container.is_sidecar
        reusable = reusable | found if passes else reusable - found
    if not own:
        return now
    return replace(now, shared=shared, own={**now.own, pod.uid: own})


def _check_cores(topology: Topology, count: int) -> None:
    threads = max(Counter(cpu.core for cpu in topology.values()).values())
    if count % threads:
        text = f"SMT Alignment Error: requested {count} cpus not multiple cpus per core = {threads}"
        raise Unassignable("SMTAlignmentError", text)


def keep(now: Assignments, is_here: Callable[[str], bool]) -> Assignments:
    """Without those of pods that are gone."""
    gone = {uid for uid in now.own if not is_here(uid)}
    if not gone:
        return now
    back = {cpu for uid in gone for cpus in now.own[uid].values() for cpu in cpus}
    left = {uid: cpus for uid, cpus in now.own.items() if uid not in gone}
    return replace(now, shared=now.shared | back, own=left)


def written(now: Assignments) -> str:
    """The file ``cpu_manager_state``."""
    body = {
        "policyName": POLICY,
        "defaultCpuSet": cpusets.render(now.shared),
        "entries": {
            uid: {name: cpusets.render(cpus) for name, cpus in sorted(containers.items())}
            for uid, containers in sorted(now.own.items())
        },
    }
    return json.dumps(body | {"checksum": _checksum(body)}, sort_keys=True)


def read(text: str, empty: Assignments) -> Assignments:
    """What the file says; ValueError when it is damaged, or of another machine or policy."""
    body = json.loads(text)
    checksum = body.pop("checksum", None)
    if checksum != _checksum(body):
        raise ValueError("cpu_manager_state: checkpoint is corrupted")
    if body.get("policyName") != POLICY:
        raise ValueError(f'configured policy "{POLICY}" differs from state checkpoint policy '
                         f'"{body.get("policyName")}"')  # fmt: skip
    own = {
        uid: {name: cpusets.parse(cpus) for name, cpus in containers.items()}
        for uid, containers in body["entries"].items()
    }
    shared = cpusets.parse(body["defaultCpuSet"])
    used = {cpu for containers in own.values() for cpus in containers.values() for cpu in cpus}
    if shared | used != empty.shared or shared & used or not empty.reserved <= shared:
        raise ValueError("cpu_manager_state does not fit the CPUs of this machine")
    return replace(empty, shared=shared, own=own)


def _checksum(body: Mapping[str, object]) -> int:
    return zlib.crc32(json.dumps(body, sort_keys=True).encode())
