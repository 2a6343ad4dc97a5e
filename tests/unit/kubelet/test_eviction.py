"""Thresholds, pressure over time, who goes first, what is told, who is let in, and the loop."""

import asyncio
import itertools
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.kubelet.configuration import documents
from pilothouse.services.kubelet.eviction import (
    admission,
    messages,
    pressure,
    ranking,
    signals,
    storage,
    thresholds,
)
from pilothouse.services.kubelet.eviction.evictor import Evictor, Rules, Surroundings
from pilothouse.services.kubelet.eviction.pressure import Pressure
from pilothouse.services.kubelet.eviction.ranking import Tenant
from pilothouse.services.kubelet.eviction.thresholds import Amount, Threshold
from pilothouse.services.kubelet.eviction.values import Eviction, ended, told
from pilothouse.services.kubelet.pod.observed import Container as Running
from pilothouse.services.kubelet.pod.observed import Observed
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.stats.values import (
    Cgroup,
    ContainerUsage,
    Filesystem,
    Memory,
    NodeUsage,
    Part,
    PodUsage,
    Usage,
    VolumeUsage,
)

MI, GI = 1 << 20, 1 << 30
HARD = Threshold("memory.available", "100Mi", reclaim="50Mi")
SOFT = Threshold("nodefs.available", "10%", 30.0)


def pod_of(name: str = "a", resources: dict | None = None, **more: object) -> Pod:
    metadata = {"name": name, "namespace": "ns", "uid": name, **more.pop("metadata", {})}
    containers = [{"name": "c", "image": "x", "resources": resources or {}}]
    return msgspec.convert({"metadata": metadata, "spec": {"containers": containers, **more}}, Pod)


def usage_of(name: str, memory: int = 0, disk: int = 0, pids: int = 0, **more: object) -> PodUsage:
    part = Part("", 0.0, Cgroup(0.0, memory=Memory(usage_bytes=memory), processes=pids))
    place = Filesystem(0.0, used_bytes=disk, inodes_used=disk)
    container = ContainerUsage(Part("c", 0.0, part.cgroup), rootfs=place)
    return PodUsage("ns", name, name, part, (container,), ephemeral=place, **more)


def test_thresholds_of_the_file():
    said = {
        "evictionSoft": {"memory.available": "1Gi"},
        "evictionSoftGracePeriod": {"memory.available": "1m30s"},
        "evictionMinimumReclaim": {"nodefs.available": "500Mi"},
        "evictionHard": {"nodefs.available": "10%", "imagefs.available": "0%"},
    }
    assert thresholds.configured(documents.decode(said, {})) == (
        Threshold("nodefs.available", "10%", 0.0, "500Mi"),
        Threshold("memory.available", "1Gi", 90.0),
    )
    default = thresholds.configured(documents.decode({}, {}))
    assert {item.signal for item in default} == {
        "memory.available", "allocatableMemory.available", "nodefs.available",
        "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree",
    }  # fmt: skip


def test_signals_of_a_node():
    disk = Filesystem(0.0, 100 * GI, 20 * GI, inodes=0, inodes_free=0)
    pods = Part("pods", 0.0, Cgroup(0.0, memory=Memory(300 * MI, 100 * MI, limit_bytes=GI)))
    node = NodeUsage(
        Part("", 0.0, Cgroup(0.0, memory=Memory(3 * GI, GI))), 8 * GI, systems=(pods,),
        filesystem=disk, images=disk, processes=100, processes_max=1000,
    )  # fmt: skip
    assert signals.observe(node, kept_pids=50) == {
        "memory.available": (6 * GI, 8 * GI),
        "allocatableMemory.available": (GI - 200 * MI, GI),
        "pid.available": (850, 1000),
        "nodefs.available": (20 * GI, 100 * GI),
        "imagefs.available": (20 * GI, 100 * GI),
    }


def look(before: Pressure, now: float, **available: int) -> pressure.Plan:
    found = {"memory.available": Amount(available.get("memory", GI), 4 * GI),
             "nodefs.available": Amount(available.get("disk", 50), 100)}  # fmt: skip
    return pressure.plan(before, (HARD, SOFT), found, now, 300.0)


def test_a_hard_threshold_counts_at_once_and_until_enough_is_reclaimed():
    first = look(Pressure(), 1000.0, memory=99 * MI)
    assert (first.conditions, first.reclaim) == ({"MemoryPressure"}, HARD)
    second = look(first.pressure, 1010.0, memory=120 * MI)
    assert second.reclaim == HARD
    third = look(second.pressure, 1020.0, memory=151 * MI)
    assert third.reclaim is None
    assert third.conditions == {"MemoryPressure"}
    assert third.again_at == 1310.0
    assert look(third.pressure, 1311.0).conditions == frozenset()


def test_a_soft_threshold_waits_for_its_grace():
    first = look(Pressure(), 1000.0, disk=9)
    assert (first.conditions, first.reclaim) == ({"DiskPressure"}, None)
    assert first.again_at == 1030.0
    again = look(first.pressure, 1029.0, disk=9)
    assert again.reclaim is None
    assert look(again.pressure, 1030.0, disk=9).reclaim == SOFT
    relieved = look(again.pressure, 1029.5, disk=11)
    assert look(relieved.pressure, 1031.0, disk=9).reclaim is None


def test_memory_is_first():
    plan = look(look(Pressure(), 0.0, disk=9).pressure, 100.0, disk=9, memory=0)
    assert plan.reclaim == HARD
    assert plan.conditions == {"MemoryPressure", "DiskPressure"}


def test_ranking_by_memory():
    tenants = [
        Tenant(pod_of("within", {"requests": {"memory": "1Gi"}}), usage_of("within", 900 * MI)),
        Tenant(pod_of("dear", priority=10), usage_of("dear", 900 * MI)),
        Tenant(pod_of("little"), usage_of("little", 10 * MI)),
        Tenant(pod_of("much"), usage_of("much", 20 * MI)),
        Tenant(pod_of("unknown")),
    ]
    ranked = ranking.rank("memory.available", tenants)
    order = ["unknown", "much", "little", "dear", "within"]
    assert [item.pod.metadata.name for item in ranked] == order


def test_ranking_by_disk_and_processes():
    tenants = [
        Tenant(pod_of("a", {"requests": {"ephemeral-storage": "1Gi"}}), usage_of("a", disk=GI - 1)),
        Tenant(pod_of("b"), usage_of("b", disk=5, pids=100)),
        Tenant(pod_of("c", priority=-1), usage_of("c", disk=1, pids=1)),
    ]
    for signal, order in (
        ("nodefs.available", ["c", "b", "a"]),
        ("imagefs.inodesFree", ["c", "a", "b"]),
        ("pid.available", ["c", "b", "a"]),
    ):
        ranked = ranking.rank(signal, tenants)
        assert [item.pod.metadata.name for item in ranked] == order, signal


_POD = st.tuples(st.integers(-5, 5), st.integers(0, 100), st.integers(0, 100))


@given(st.lists(_POD, max_size=8), st.sampled_from(sorted(thresholds.RESOURCE)))
def test_nobody_within_his_request_goes_before_one_above_it(pods, signal):
    tenants = [
        Tenant(
            pod_of(str(number), {"requests": {"memory": request}}, priority=priority),
            usage_of(str(number), memory=used, disk=used, pids=used),
        )
        for number, (priority, used, request) in enumerate(pods)
    ]
    ranked = ranking.rank(signal, tenants)
    assert sorted(ranked, key=id) == sorted(tenants, key=id)
    if signal == "memory.available":
        over = [
            item.usage.part.cgroup.memory.usage_bytes
            > int(item.pod.spec.containers[0].resources.requests["memory"])
            for item in ranked
        ]
        assert over == sorted(over, reverse=True)
        for one, other in itertools.pairwise(ranked):
            same = over[ranked.index(one)] == over[ranked.index(other)]
            assert not same or one.pod.spec.priority <= other.pod.spec.priority


@pytest.mark.parametrize(
    "pod",
    [
        pod_of(priority=2_000_000_000),
        pod_of(metadata={"annotations": {"kubernetes.io/config.source": "file"}}),
        pod_of(metadata={"annotations": {"kubernetes.io/config.mirror": "x"}}),
    ],
)
def test_who_is_spared(pod: Pod):
    assert ranking.is_critical(pod)
    assert admission.judge(pod, frozenset({"DiskPressure"})) is None


def test_what_is_told_when_the_node_is_low():
    tenant = Tenant(pod_of(resources={"requests": {"memory": "10Mi"}}), usage_of("a", 20 * MI))
    assert messages.low(tenant, HARD, Amount(88 * 1024, GI)) == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 88Ki. "
        "Container c was using 20Mi, request is 10Mi, has larger consumption of memory. "
    )
    assert messages.low(Tenant(pod_of()), SOFT, Amount(5, 1 << 40)).startswith(
        "The node was low on resource: ephemeral-storage. Threshold quantity: "
    )


def test_limits_of_storage():
    volumes = [{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}]
    pod = pod_of(volumes=volumes)
    assert storage.is_bounded(pod)
    assert not storage.is_bounded(pod_of())
    full = (VolumeUsage("v", Filesystem(0.0, used_bytes=MI + 1)),)
    text = 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '
    assert storage.excess(Tenant(pod, usage_of("a", volumes=full)))[1] == text
    assert storage.excess(Tenant(pod, usage_of("a"))) == ("", "")
    bounded = pod_of(resources={"limits": {"ephemeral-storage": "2Mi"}})
    assert storage.excess(Tenant(bounded, usage_of("a", disk=2 * MI))) == ("", "")
    text = "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. "
    assert storage.excess(Tenant(bounded, usage_of("a", disk=3 * MI)))[1] == text
    text = 'Container c exceeded its local ephemeral storage limit "2Mi". '
    two = msgspec.structs.replace(
        bounded, spec=msgspec.structs.replace(bounded.spec, overhead={"ephemeral-storage": "9Mi"})
    )
    assert storage.excess(Tenant(two, usage_of("a", disk=3 * MI)))[1] == text


def test_who_is_let_in():
    memory, disk = frozenset({"MemoryPressure"}), frozenset({"MemoryPressure", "DiskPressure"})
    modest = pod_of(resources={"requests": {"cpu": "1m"}})
    assert admission.judge(pod_of(), frozenset()) is None
    assert admission.judge(modest, memory) is None
    refused = admission.judge(pod_of(), memory)
    assert refused is not None
    assert refused.reason == "Evicted"
    assert refused.message == ("Pod was rejected: The node had condition: [MemoryPressure]. ")
    assert admission.judge(modest, disk) is not None
    tolerant = [{"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}]
    assert admission.judge(pod_of(tolerations=tolerant), memory) is None


def test_an_evicted_pod_has_failed_when_nothing_of_it_runs():
    pod = msgspec.structs.replace(pod_of(), status={"phase": "Running"})
    eviction = Eviction("Evicted", "why", 7)
    assert ended(pod, eviction).spec.termination_grace_period_seconds == 7
    assert ended(pod, eviction).status["phase"] == "Failed"
    made = {"phase": "Failed", "conditions": [{"type": "Ready", "status": "False"}]}
    going = told(made, pod, eviction, Observed((), (Running("1", "c", 0, "s", "running"),)), 9.0)
    assert (going["phase"], going["reason"], going["message"]) == ("Running", "Evicted", "why")
    gone = told(made, pod, eviction, Observed(), 9.0)
    assert gone["phase"] == "Failed"
    assert gone["conditions"][1]["reason"] == "TerminationByKubelet"
    assert gone["conditions"][1]["type"] == "DisruptionTarget"
    quiet = told(made, pod, Eviction("Evicted", "why", cause=""), Observed(), 9.0)
    assert len(quiet["conditions"]) == 1


class FakeClock:
    """Stands still until it is moved; sleeps move it."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class FakeWorker:
    pod: Pod
    eviction: Eviction | None = None
    is_expected: bool = True

    @property
    def is_evicted(self) -> bool:
        return self.eviction is not None

    def evict(self, eviction: Eviction) -> None:
        self.eviction = eviction
        self.is_expected = False


@dataclass
class FakeNode:
    """Every port of the evictor; ``room`` is what making room frees of the disk."""

    pods: list[FakeWorker]
    usage: dict[str, PodUsage] = field(default_factory=dict)
    memory_left: int = GI
    disk_left: int = 50 * GI
    room: int = 0
    told: list[object] = field(default_factory=list)

    async def node(self) -> NodeUsage:
        used = Cgroup(0.0, memory=Memory(4 * GI - self.memory_left))
        disk = Filesystem(0.0, 100 * GI, self.disk_left)
        return NodeUsage(Part("", 0.0, used), 4 * GI, filesystem=disk)

    async def bounded(self, pods):
        return [self.usage[pod.uid] for pod in pods]

    async def everything(self, age_seconds: float) -> Usage:
        return Usage(await self.node(), tuple(self.usage.values()))

    def workers(self):
        return self.pods

    async def make(self) -> None:
        self.told.append("room")
        self.disk_left += self.room

    def press(self, conditions) -> None:
        self.told.append(conditions)

    def note(self, reason: str, message: str) -> None:
        self.told.append((reason, message))


def evictor(node: FakeNode, *floors: Threshold, clock: FakeClock | None = None) -> Evictor:
    around = Surroundings(node, node, node, node, node)
    return Evictor(around, Rules(floors, 300.0, 5), clock or FakeClock())


def test_one_pod_goes_when_memory_is_short():
    node = FakeNode([FakeWorker(pod_of("a")), FakeWorker(pod_of("b")),
                     FakeWorker(pod_of("vital", priority=2_000_000_001))])  # fmt: skip
    node.usage = {"a": usage_of("a", 5 * MI), "b": usage_of("b", 9 * MI),
                  "vital": usage_of("vital", GI)}  # fmt: skip
    node.memory_left = 1
    asyncio.run(evictor(node, HARD).look())
    assert [item.eviction is not None for item in node.pods] == [False, True, False]
    assert node.pods[1].eviction.grace_seconds == 1
    assert node.told == [
        {"MemoryPressure"}, ("EvictionThresholdMet", "Attempting to reclaim memory"),
    ]  # fmt: skip


@pytest.mark.parametrize(("room", "goes"), [(50 * GI, False), (GI, True)])
def test_room_is_made_before_a_pod_goes(room: int, goes: bool):
    node = FakeNode([FakeWorker(pod_of("a"))], {"a": usage_of("a")}, disk_left=GI, room=room)
    asyncio.run(evictor(node, Threshold("nodefs.available", "10%")).look())
    assert node.pods[0].is_evicted is goes
    assert "room" in node.told


def test_whoever_keeps_too_much_goes_without_any_pressure():
    volumes = [{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}]
    full = (VolumeUsage("v", Filesystem(0.0, used_bytes=2 * MI)),)
    node = FakeNode([FakeWorker(pod_of("a", volumes=volumes)), FakeWorker(pod_of("b"))])
    node.usage = {"a": usage_of("a", volumes=full)}
    asyncio.run(evictor(node, HARD).look())
    assert [item.is_evicted for item in node.pods] == [True, False]
    assert node.pods[0].eviction.cause == ""
    assert node.pods[0].eviction.signal == "emptydirfs.limit"
    assert node.told == []


def test_soft_thresholds_leave_time_to_end():
    node = FakeNode([FakeWorker(pod_of("a"))], {"a": usage_of("a")}, memory_left=1)
    clock = FakeClock()
    watcher = evictor(node, Threshold("memory.available", "1Mi", 0.5), clock=clock)

    async def twice() -> None:
        await watcher.look()
        assert not node.pods[0].is_evicted
        clock.at += 1.0
        await watcher.look()

    asyncio.run(twice())
    assert node.pods[0].eviction.grace_seconds == 5
