"""Figures from cgroup files of both versions, network counters, and what is made of them."""

import pytest

from pilothouse.cri_shim.configs import ContainerConfig, PodSandboxConfig, PodSandboxLinux
from pilothouse.cri_shim.records import (
    EXITED,
    NOTREADY,
    READY,
    RUNNING,
    ContainerRecord,
    SandboxRecord,
)
from pilothouse.cri_shim.stats import cgroups, metrics
from pilothouse.cri_shim.stats.cgroups import Memory, Pressure, Pressures, Usage
from pilothouse.cri_shim.stats.collector import Collector, Filter, Sources, Taken
from pilothouse.cri_shim.stats.network import Interface, interfaces
from pilothouse.services.machinery.errors import NotFound

V1 = {
    "cpuacct/pod/c/cpuacct.usage": "12345\n",
    "memory/pod/c/memory.usage_in_bytes": "1000\n",
    "memory/pod/c/memory.memsw.usage_in_bytes": "1100\n",
    "memory/pod/c/memory.stat": "cache 1\ntotal_rss 300\ntotal_inactive_file 200\ntotal_pgfault 7\n"
    "total_pgmajfault 2\nhierarchical_memory_limit 5000\n"
    "hierarchical_memsw_limit 9223372036854771712\n",
    "pids/pod/c/pids.current": "4\n",
}
V2 = {
    "pod/c/cpu.stat": "usage_usec 12\nuser_usec 3\n",
    "pod/c/memory.current": "1000\n",
    "pod/c/memory.stat": "anon 300\nfile 50\ninactive_file 200\npgfault 7\npgmajfault 2\n",
    "pod/c/memory.max": "max\n",
    "pod/c/memory.swap.current": "10\n",
    "pod/c/memory.swap.max": "100\n",
    "pod/c/cpu.pressure": "some avg10=1.50 avg60=0.10 avg300=0.00 total=42\n",
    "pod/c/pids.current": "4\n",
}
DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo:     100       1    0    0    0     0          0         0      100       1    0    0 0 0 0 0
  net1:       1       1    0    0    0     0          0         0        2       1    0    0 0 0 0 0
  eth0:    1000      10    3    0    0     0          0         0     2000      20    4    0 0 0 0 0
"""


def test_version_1() -> None:
    found = cgroups.usage_v1("/pod/c", V1.get)
    assert (found.cpu_nanoseconds, found.processes) == (12345, 4)
    assert found.memory == Memory(
        usage=1000, working_set=800, rss=300, page_faults=7, major_page_faults=2, limit=5000,
        swap=100,
    )  # fmt: skip
    assert found.memory.available == 4200


def test_version_2() -> None:
    found = cgroups.usage_v2("/pod/c", V2.get)
    assert (found.cpu_nanoseconds, found.processes) == (12000, 4)
    assert found.memory == Memory(
        usage=1000, working_set=800, rss=300, cache=50, page_faults=7, major_page_faults=2,
        swap=10, swap_limit=100,
    )  # fmt: skip
    assert found.memory.available is None
    assert found.cpu_pressure == Pressures(some=Pressure(42, 1.5, 0.1, 0.0))
    assert found.io_pressure is None


def test_without_files_nothing_is_known() -> None:
    assert cgroups.usage_v1("/x", {}.get) == cgroups.usage_v2("/x", {}.get) == Usage()


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("/pilothouse/pod/c", "/pilothouse/pod/c"),
        ("kubepods-burstable-podx.slice:cri:abc",
         "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podx.slice/cri-abc.scope"),
        ("/kubepods.slice/kubepods-podx.slice", "/kubepods.slice/kubepods-podx.slice"),
        (":cri:abc", "/system.slice/cri-abc.scope"),
    ],
)  # fmt: skip
def test_paths(said: str, path: str) -> None:
    assert cgroups.path_of(said) == path


def test_interfaces() -> None:
    assert interfaces(DEV) == [Interface("eth0", 1000, 3, 2000, 4), Interface("net1", 1, 0, 2, 0)]
    assert interfaces("") == []


class FakeRecords:
    def __init__(self) -> None:
        linux = PodSandboxLinux(cgroup_parent="/pod")
        self.sandbox_ = SandboxRecord(
            id="s1", config=PodSandboxConfig(labels={"app": "web"}, linux=linux),
            created_at=1, state=READY, netns="/n", pid=7,
        )  # fmt: skip
        self.states = {"c1": RUNNING, "c2": EXITED}

    def sandbox(self, id_: str) -> SandboxRecord:
        if id_ != "s1":
            raise NotFound(id_)
        return self.sandbox_

    def container(self, id_: str) -> ContainerRecord:
        config = ContainerConfig(labels={"app": "web"})
        return ContainerRecord(
            id=id_, sandbox_id="s1", config=config, image_id="i", created_at=1,
            state=self.states[id_], snapshot_key=id_, cgroup_path=f"/pod/{id_}",
        )  # fmt: skip

    def sandboxes(self) -> list[SandboxRecord]:
        return [self.sandbox_]

    def containers(self) -> list[ContainerRecord]:
        return [self.container(id_) for id_ in self.states]

    def io(self, id_: str) -> None: ...


class FakeClock:
    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def records() -> FakeRecords:
    return FakeRecords()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def collector(records: FakeRecords, clock: FakeClock) -> Collector:
    asked: list[str] = []

    async def layer(key: str) -> tuple[int, int]:
        asked.append(key)
        return len(asked), 2

    def usage(path: str) -> Usage:
        return Usage(cpu_nanoseconds=int(clock.time * 5e8), memory=Memory(usage=1))

    return Collector(records, Sources(usage, lambda pid: DEV, layer), clock)


async def test_rates_and_layers(
    collector: Collector, records: FakeRecords, clock: FakeClock
) -> None:
    one = records.container("c1")
    first = await collector.container(one)
    assert (first.nano_cores, first.layer.bytes, first.layer.inodes) == (0, 1, 2)
    clock.time += 2
    second = await collector.container(one)
    assert second.nano_cores == 500_000_000
    assert second.layer == first.layer, "counted again only after a while"
    clock.time += 20
    assert (await collector.container(one)).layer.bytes == 2
    ended = await collector.container(records.container("c2"))
    assert ended.usage == Usage()


def test_whom_lists_are_about(collector: Collector, records: FakeRecords) -> None:
    assert [one.id for one in collector.containers(Filter())] == ["c1"]
    assert [one.id for one in collector.containers(Filter(sandbox_id="s"))] == ["c1"]
    assert collector.containers(Filter(labels=(("app", "db"),))) == []
    assert collector.containers(Filter(id="c2")) == []
    assert [one.id for one in collector.sandboxes(Filter(id="s1"))] == ["s1"]
    assert collector.ready("s1").id == "s1"
    records.sandbox_ = SandboxRecord(
        id="s1", config=PodSandboxConfig(), created_at=1, state=NOTREADY
    )
    assert collector.sandboxes(Filter()) == []
    with pytest.raises(NotFound):
        collector.ready("s1")


def test_metrics_fit_their_descriptors(collector: Collector, records: FakeRecords) -> None:
    taken: Taken = collector.sandbox(records.sandbox_)
    labels = {
        one.name: len(one.labels) for one in (*metrics.DESCRIPTORS, *metrics.NETWORK_DESCRIPTORS)
    }
    found = metrics.measure(taken, ("s1", "POD", ""))
    assert {(one.name, len(one.labels)) for one in found} <= set(labels.items())
    received = [one for one in found if one.name == "container_network_receive_bytes_total"]
    assert [(one.labels[-1], one.value) for one in received] == [("eth0", 1000), ("net1", 1)]
