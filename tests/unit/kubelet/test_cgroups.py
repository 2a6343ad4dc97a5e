"""A pod's cgroup in both versions, against a tree of files that looks like the kernel's."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.kubelet.adapters.machine.cgroups import NodeCgroups
from pilothouse.services.kubelet.configuration import documents
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources import allocatable, amounts, cgroup_files, cpusets, qos
from pilothouse.services.kubelet.resources.qos import PodLimits, Terms

GI, MI = 1 << 30, 1 << 20
BOTH = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
SOME = {"requests": {"cpu": "250m"}, "limits": {"memory": "64Mi"}}


def pod_of(*resources: dict, init: tuple[dict, ...] = (), **spec: object) -> Pod:
    containers = [
        {"name": f"c{number}", "image": "x", "resources": item}
        for number, item in enumerate(resources)
    ]
    inits = [{"name": f"i{number}", "image": "x", **item} for number, item in enumerate(init)]
    body = {"containers": containers, "initContainers": inits, **spec}
    return msgspec.convert({"metadata": {"name": "p", "uid": "u"}, "spec": body}, Pod)


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (pod_of(BOTH), PodLimits(1024, 100_000, GI)),
        (pod_of(BOTH, BOTH), PodLimits(2048, 200_000, 2 * GI)),
        (pod_of(SOME), PodLimits(256, 0, 64 * MI)),
        (pod_of(SOME, BOTH), PodLimits(1280, 0, 64 * MI + GI)),
        (pod_of(SOME, {}), PodLimits(256)),
        (pod_of({}), PodLimits(2)),
        (pod_of(BOTH, overhead={"cpu": "500m", "memory": "1Gi"}), PodLimits(1536, 150_000, 2 * GI)),
        (pod_of({}, resources=BOTH), PodLimits(1024, 100_000, GI)),
        (pod_of({"limits": {"hugepages-2Mi": "4Mi", "memory": "1Mi", "cpu": "1m"}}),
         PodLimits(2, 1000, MI, hugepages={"2Mi": 4 * MI})),
        (pod_of(SOME, init=({"resources": BOTH},)), PodLimits(1024, 0, GI)),
        (pod_of(BOTH, init=({"resources": BOTH, "restartPolicy": "Always"},)),
         PodLimits(2048, 200_000, 2 * GI)),
    ],
)  # fmt: skip
def test_limits_of_whole_pods(pod: Pod, expected: PodLimits):
    assert qos.pod_limits(pod) == expected


def test_limits_of_containers_in_a_pod_with_its_own():
    pod = pod_of({}, {"limits": {"memory": "10Mi"}}, resources=BOTH)
    assert qos.qos_class(pod) == "Guaranteed"
    first, second = (qos.limits_of(pod, item, 4 * GI) for item in pod.spec.containers)
    assert (first.memory_bytes, first.cpu_quota, first.oom_score_adj) == (GI, 100_000, -997)
    assert second.memory_bytes == 10 * MI


def test_who_is_ended_first():
    whole = 4 * GI
    half = {"requests": {"memory": "2Gi"}}
    pod = pod_of(half, {}, init=({"restartPolicy": "Always"},))
    scores = [qos.limits_of(pod, item, whole).oom_score_adj for item in pod.spec.containers]
    assert scores == [500, 999]
    assert qos.limits_of(pod, pod.spec.init_containers[0], whole).oom_score_adj == 500
    shared = pod_of({}, {}, resources={"requests": {"memory": "2Gi"}})
    assert qos.limits_of(shared, shared.spec.containers[0], whole).oom_score_adj == 750
    critical = pod_of({}, priority=2_000_001_000)
    assert qos.limits_of(critical, critical.spec.containers[0], whole).oom_score_adj == -997


def test_swap_is_for_burstable_pods_and_only_where_it_is_allowed():
    pod = pod_of({"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}})
    spec = pod.spec.containers[0]
    assert qos.limits_of(pod, spec, 4 * GI).swap_bytes == 0
    assert qos.limits_of(pod, spec, 4 * GI, Terms(swap_bytes=GI)).swap_bytes == 2 * GI
    allowed = Terms(swap_bytes=GI, swaps=True)
    assert qos.limits_of(pod, spec, 4 * GI, allowed).swap_bytes == 2 * GI + GI // 4
    exact = pod_of(BOTH)
    assert qos.limits_of(exact, exact.spec.containers[0], 4 * GI, allowed).swap_bytes == GI


def test_no_quota_where_it_is_switched_off_and_other_periods():
    spec = pod_of(BOTH).spec.containers[0]
    assert qos.limits_of(pod_of(BOTH), spec, GI, Terms(cpu_period=0)).cpu_quota == 0
    short = qos.limits_of(pod_of(BOTH), spec, GI, Terms(cpu_period=20_000))
    assert (short.cpu_quota, short.cpu_period) == (20_000, 20_000)


def v1_tree(mount: Path) -> None:
    """Directories do not fill themselves with files here, as they do in the kernel."""
    for name in ("cpu", "memory", "pids", "hugetlb"):
        (mount / name).mkdir()
    (mount / "unified").mkdir()
    (mount / "unified" / "cgroup.controllers").write_text("")
    (mount / "hugetlb" / "hugetlb.2MB.limit_in_bytes").write_text("")


def files(mount: Path, below: str, *names: str) -> None:
    for name in names:
        path = mount / below / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("0")


def test_version_1(tmp_path: Path):
    v1_tree(tmp_path)
    pod = "root/burstable/podu"
    files(tmp_path, f"cpu/{pod}", "cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us")
    files(tmp_path, "cpu/root/burstable", "cpu.shares")
    files(tmp_path, f"memory/{pod}", "memory.limit_in_bytes", "memory.usage_in_bytes")
    files(tmp_path, f"pids/{pod}", "pids.max")
    files(tmp_path, f"hugetlb/{pod}", "hugetlb.2MB.limit_in_bytes")
    cgroups = NodeCgroups("/root", pids_max=64, mount=tmp_path)
    cgroups.prepare(pod_of(SOME))
    found = {path.name: path.read_text() for path in tmp_path.glob(f"*/{pod}/*.*")}
    assert found == {
        "cpu.shares": "256", "cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000",
        "memory.limit_in_bytes": str(64 * MI), "memory.usage_in_bytes": "0", "pids.max": "64",
        "hugetlb.2MB.limit_in_bytes": "0",
    }  # fmt: skip
    assert (tmp_path / "cpu/root/burstable/cpu.shares").read_text() == "256"
    assert cgroups.pods() == ["u"]


def test_version_2_hands_controllers_on(tmp_path: Path):
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    pod = "root/podu"
    names = ("cpu.weight", "cpu.max", "memory.max", "pids.max", "memory.current")
    files(tmp_path, pod, *names)
    cgroups = NodeCgroups("/root", mount=tmp_path)
    cgroups.prepare(pod_of(BOTH))
    found = [(tmp_path / pod / name).read_text() for name in names]
    assert found == ["39", "100000 100000", str(GI), "max", "0"]
    for level in ("", "root"):
        handed = (tmp_path / level / "cgroup.subtree_control").read_text()
        assert handed == "+cpu +memory +pids +cpuset"
    assert not (tmp_path / pod / "cgroup.subtree_control").exists()


def test_all_pods_together(tmp_path: Path):
    v1_tree(tmp_path)
    files(tmp_path, "memory/root", "memory.limit_in_bytes")
    files(tmp_path, "pids/root", "pids.max")
    NodeCgroups("/root", mount=tmp_path).enforce(PodLimits(2048, memory_bytes=GI), 1000)
    assert (tmp_path / "memory/root/memory.limit_in_bytes").read_text() == str(GI)
    assert (tmp_path / "pids/root/pids.max").read_text() == "1000"


def test_capacity_is_reserves_and_the_rest():
    kubelet = documents.decode(
        {
            "kubeReserved": {"cpu": "100m", "memory": "1Gi"},
            "systemReserved": {"cpu": "200m", "memory": "1Gi", "ephemeral-storage": "1Gi"},
        },
        {},
    )
    capacity = {"cpu": 2000, "memory": 8 * GI, "ephemeral-storage": 100 * GI, "pods": 110}
    rest = allocatable.left(capacity, allocatable.reserved(kubelet, capacity))
    assert rest == {
        "cpu": 1700, "memory": 6 * GI - 100 * MI, "ephemeral-storage": 89 * GI, "pods": 110,
    }  # fmt: skip
    assert allocatable.rendered(rest)["cpu"] == "1700m"
    assert allocatable.rendered(rest)["memory"] == f"{6 * 1024 * 1024 - 100 * 1024}Ki"
    most = allocatable.together(kubelet, capacity)
    assert most is not None
    assert most.memory_bytes == 6 * GI
    unbound = documents.decode({"enforceNodeAllocatable": ["none"]}, {})
    assert allocatable.together(unbound, capacity) is None


def test_what_is_reserved_is_held_to_that_where_it_is_asked_for():
    said = {
        "kubeReserved": {"cpu": "500m", "memory": "1Gi", "pid": "100"},
        "systemReserved": {"cpu": "250m", "memory": "2Gi"},
        "kubeReservedCgroup": "/kube", "systemReservedCgroup": "/system",
        "enforceNodeAllocatable": ["pods", "kube-reserved", "system-reserved-compressible"],
    }  # fmt: skip
    assert allocatable.enforced(documents.decode(said, {})) == {
        "/kube": (PodLimits(512, memory_bytes=GI), 100), "/system": (PodLimits(256), 0),
    }  # fmt: skip
    assert allocatable.enforced(documents.decode({}, {})) == {}


def test_reserved_cpus_count_instead_of_amounts():
    kubelet = documents.decode({"kubeReserved": {"cpu": "3"}, "reservedSystemCPUs": "0,2-3"}, {})
    assert allocatable.system(kubelet)["cpu"] == 3000
    kubelet = documents.decode({"podsPerCore": 10, "maxPods": 30}, {})
    assert [allocatable.pods_max(kubelet, cpus) for cpus in (2, 8)] == [20, 30]


@given(st.frozensets(st.integers(0, 300)))
def test_sets_of_cpus_are_read_as_they_are_written(cpus: frozenset[int]):
    assert cpusets.parse(cpusets.render(cpus)) == cpus


@pytest.mark.parametrize("text", ["a", "3-1", "1-", "-1"])
def test_what_is_no_set_of_cpus(text: str):
    with pytest.raises(ValueError):  # noqa: PT011 - its words are Python's
        cpusets.parse(text)


_RESOURCE = st.fixed_dictionaries(
    {},
    optional={
        member: st.fixed_dictionaries(
            {},
            optional={
                "cpu": st.integers(1, 4000).map("{}m".format),
                "memory": st.integers(1, 4096).map("{}Mi".format),
            },
        )
        for member in ("requests", "limits")
    },
)


@given(st.lists(_RESOURCE, min_size=1, max_size=3), st.lists(_RESOURCE, max_size=2), _RESOURCE)
def test_a_pod_has_room_for_each_of_its_containers(resources, inits, own):
    pod = pod_of(*resources, init=tuple({"resources": item} for item in inits), resources=own)
    whole = qos.pod_limits(pod)
    assert qos.SHARES_MIN <= whole.cpu_shares <= qos.SHARES_MAX
    for spec in (*pod.spec.containers, *pod.spec.init_containers):
        limits = qos.limits_of(pod, spec, 8 * GI)
        assert -997 <= limits.oom_score_adj <= 1000
        if whole.memory_bytes and not pod.spec.resources.limits:
            assert 0 < limits.memory_bytes <= whole.memory_bytes
    quality = qos.qos_class(pod)
    if quality == "Guaranteed":
        assert whole.cpu_quota
        assert whole.memory_bytes
    if quality == "BestEffort":
        assert not amounts.of_containers(pod, "requests") or own
    assert set(cgroup_files.v1(whole, 5, ())) == {
        "cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us", "memory.limit_in_bytes", "pids.max",
    }  # fmt: skip


@pytest.mark.parametrize(("size", "word"), [("2Mi", "2MB"), ("1Gi", "1GB"), ("64Ki", "64KB")])
def test_sizes_of_pages_in_the_kernels_words(size: str, word: str):
    assert cgroup_files.size_word(size) == word
