"""Memory of NUMA nodes: groups are never torn, and nothing is given twice."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.kubelet.adapters.machine.processors import StateFile, banks
from pilothouse.services.kubelet.configuration import documents
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources import memory_nodes, qos
from pilothouse.services.kubelet.resources.exclusive import Unassignable
from pilothouse.services.kubelet.resources.memory_nodes import Claim, Holdings
from pilothouse.services.kubelet.resources.processors import AnyProcessors
from pilothouse.services.kubelet.resources.static_memory import Both, StaticMemory

GI = 1 << 30


def pod_of(uid: str, *memory: int) -> Pod:
    spec = {"containers": [
        {"name": f"c{number}", "resources": {"limits": {"cpu": "1", "memory": amount}}}
        for number, amount in enumerate(memory)
    ]}  # fmt: skip
    return msgspec.convert({"metadata": {"name": uid, "uid": uid}, "spec": spec}, Pod)


def test_as_few_nodes_as_will_do():
    now = memory_nodes.allocate(Holdings({0: GI, 1: 2 * GI, 2: GI}), pod_of("a", GI, GI + 1))
    assert now.own["a"] == {"c0": Claim((0,), GI), "c1": Claim((1,), GI + 1)}
    now = memory_nodes.allocate(Holdings({0: GI, 1: GI}), pod_of("a", 2 * GI))
    assert now.own["a"]["c0"].nodes == (0, 1)
    with pytest.raises(Unassignable, match="no NUMA nodes with enough memory"):
        memory_nodes.allocate(now, pod_of("b", 1))
    assert memory_nodes.keep(now, lambda uid: uid != "a").own == {}


def test_a_group_is_not_torn():
    now = memory_nodes.allocate(Holdings({0: GI, 1: GI}), pod_of("a", GI + 1))
    assert memory_nodes.allocate(now, pod_of("b", 5)).own["b"]["c0"].nodes == (0, 1)


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=4),
    st.lists(st.integers(1, 25), max_size=8),
)
def test_nothing_is_given_twice(sizes: list[int], wishes: list[int]):
    now = Holdings(dict(enumerate(sizes)))
    for number, wish in enumerate(wishes):
        try:
            now = memory_nodes.allocate(now, pod_of(str(number), wish))
        except Unassignable:
            continue
    groups = {claim.nodes for claim in now.claims()}
    for group in groups:
        given_ = sum(claim.bytes for claim in now.claims() if claim.nodes == group)
        assert given_ <= sum(now.banks[node] for node in group)
        assert all(group == other or not set(group) & set(other) for other in groups)
    assert memory_nodes.read(memory_nodes.written(now), Holdings(now.banks)) == now


def test_what_is_reserved_is_told_by_node():
    said = documents.decode({"reservedMemory": [{"numaNode": 0, "limits": {"memory": "1Gi"}}]}, {})
    assert memory_nodes.start({0: 4 * GI}, GI, said).banks == {0: 3 * GI}
    with pytest.raises(ValueError, match="determined by Node Allocatable"):
        memory_nodes.start({0: 4 * GI}, 2 * GI, said)
    with pytest.raises(ValueError, match="NUMA node 0 is not there"):
        memory_nodes.start({1: 4 * GI}, GI, said)


def test_the_file():
    now = memory_nodes.allocate(Holdings({0: GI}), pod_of("a", 5))
    text = memory_nodes.written(now)
    with pytest.raises(ValueError, match="corrupted"):
        memory_nodes.read(text.replace('"size": 5', '"size": 6'), Holdings({0: GI}))
    with pytest.raises(ValueError, match="does not fit"):
        memory_nodes.read(text, Holdings({0: 2 * GI}))


def test_containers_are_bound(tmp_path: Path):
    state, pod = StateFile(tmp_path / "memory_manager_state"), pod_of("a", 5)
    both = Both(AnyProcessors(), StaticMemory(Holdings({0: GI}), state))
    assert both.admit(pod, lambda uid: False) is None
    spec = pod.spec.containers[0]
    assert both.bind(pod, spec, qos.limits_of(pod, spec, GI)).memory_nodes == "0"
    assert both.is_fixed(pod)
    assert '"a"' in state.read()
    refused = both.admit(pod_of("b", GI), lambda uid: True)
    assert refused is not None
    assert refused.reason == "UnexpectedAdmissionError"


def test_this_machine_has_memory():
    assert sum(banks().values()) > 0
