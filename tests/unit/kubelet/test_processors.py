"""CPUs of their own: who gets which, on machines that are not here, and what is remembered."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.kubelet.adapters.machine.processors import StateFile, topology
from pilothouse.services.kubelet.pod.observed import Container as Running
from pilothouse.services.kubelet.pod.observed import Observed
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources import cpusets, exclusive, qos
from pilothouse.services.kubelet.resources.exclusive import Cpu, Unassignable
from pilothouse.services.kubelet.resources.processors import StaticProcessors
from pilothouse.services.kubelet.resources.qos import Limits


def machine(sockets: int, cores: int, threads: int) -> dict[int, Cpu]:
    """Numbered as Linux does: every core's first thread before the second ones."""
    found = {}
    for socket in range(sockets):
        for core in range(cores):
            first = socket * cores + core
            for thread in range(threads):
                id_ = thread * sockets * cores + first
                found[id_] = Cpu(id_, first, socket, socket)
    return found


def pod_of(uid: str, *cpus: str, init: tuple[str, ...] = (), memory: str = "1Mi") -> Pod:
    def container(name: str, cpu: str) -> dict:
        return {"name": name, "resources": {"limits": {"cpu": cpu, "memory": memory}}}

    spec = {
        "containers": [container(f"c{number}", cpu) for number, cpu in enumerate(cpus)],
        "initContainers": [container(f"i{number}", cpu) for number, cpu in enumerate(init)],
    }
    return msgspec.convert({"metadata": {"name": uid, "uid": uid}, "spec": spec}, Pod)


@pytest.mark.parametrize(
    ("here", "free", "count", "expected"),
    [
        (machine(1, 4, 2), "0-7", 1, "0"),
        (machine(1, 4, 2), "0-7", 2, "0,4"),
        (machine(1, 4, 2), "0-7", 3, "0-1,4"),
        (machine(1, 4, 2), "1-7", 1, "4"),
        (machine(1, 4, 2), "1-7", 2, "1,5"),
        (machine(2, 4, 2), "0-15", 8, "0-3,8-11"),
        (machine(2, 4, 2), "1-15", 8, "4-7,12-15"),
        (machine(2, 4, 2), "1-15", 10, "1,4-7,9,12-15"),
        (machine(1, 2, 1), "1", 1, "1"),
    ],
)
def test_who_is_taken_first(here, free: str, count: int, expected: str):
    assert cpusets.render(exclusive.take(here, cpusets.parse(free), count)) == expected


def test_more_than_there_are():
    with pytest.raises(ValueError, match="requested=3, available=2"):
        exclusive.take(machine(1, 2, 1), frozenset({0, 1}), 3)


@given(st.sampled_from([(1, 2, 1), (1, 4, 2), (2, 4, 2), (2, 3, 1)]), st.data())
def test_exactly_as_many_and_only_free_ones(shape, data):
    here = machine(*shape)
    free = data.draw(st.frozensets(st.sampled_from(sorted(here))))
    count = data.draw(st.integers(0, len(free)))
    taken = exclusive.take(here, free, count)
    assert taken <= free
    assert len(taken) == count
    # No core is split while whole ones are left that would have fitted.
    threads = shape[2]
    whole = Counter(here[cpu].core for cpu in free)
    split = {core for core, number in Counter(here[cpu].core for cpu in taken).items()
             if number < min(whole[core], threads) and whole[core] == threads}  # fmt: skip
    assert len(split) <= 1


def test_only_whole_cpus_of_guaranteed_pods():
    assert [exclusive.wanted(pod, pod.spec.containers[0]) for pod in (
        pod_of("a", "2"), pod_of("a", "1500m"), pod_of("a", "500m"), pod_of("a", "2", memory="0"),
    )] == [2, 0, 0, 0]  # fmt: skip


def test_reserved_are_never_given_away():
    here = machine(1, 4, 1)
    empty = exclusive.start(here, frozenset(), 1500)
    assert cpusets.render(empty.reserved) == "0-1"
    with pytest.raises(ValueError, match="to be greater than zero"):
        exclusive.start(here, frozenset(), 0)
    with pytest.raises(ValueError, match="not all online"):
        exclusive.start(here, frozenset({9}), 0)
    given_ = exclusive.allocate(empty, here, pod_of("a", "2"))
    assert cpusets.render(given_.of("a", "c0")) == "2-3"
    assert cpusets.render(given_.shared) == "0-1"
    with pytest.raises(Unassignable) as error:
        exclusive.allocate(given_, here, pod_of("b", "1"))
    assert error.value.rejection.reason == "UnexpectedAdmissionError"
    text = "requested=1, available=0, which is unexpected"
    assert text in error.value.rejection.message


def test_init_containers_pass_theirs_on():
    here = machine(1, 4, 1)
    empty = exclusive.start(here, frozenset({0}), 0)
    made = exclusive.allocate(empty, here, pod_of("a", "2", init=("3",)))
    assert len(made.of("a", "i0")) == 3
    assert made.of("a", "c0") < made.of("a", "i0")
    assert exclusive.keep(made, lambda uid: False) == empty
    assert exclusive.keep(made, lambda uid: True) == made


def test_full_cores_only():
    here = machine(1, 4, 2)
    empty = exclusive.start(here, frozenset({0, 4}), 0)
    with pytest.raises(Unassignable) as error:
        exclusive.allocate(empty, here, pod_of("a", "1"), full_cores=True)
    assert error.value.rejection.reason == "SMTAlignmentError"
    assert "requested 1 cpus not multiple cpus per core = 2" in str(error.value)
    made = exclusive.allocate(empty, here, pod_of("a", "2"), full_cores=True)
    assert cpusets.render(made.of("a", "c0")) == "1,5"


def test_the_file_remembers_and_a_damaged_one_is_refused():
    here = machine(1, 4, 1)
    empty = exclusive.start(here, frozenset({0}), 0)
    made = exclusive.allocate(empty, here, pod_of("a", "2"))
    text = exclusive.written(made)
    assert exclusive.read(text, empty) == made
    with pytest.raises(ValueError, match="corrupted"):
        exclusive.read(text.replace('"1-2"', '"1-3"'), empty)
    with pytest.raises(ValueError, match="does not fit"):
        exclusive.read(text, exclusive.start(machine(1, 8, 1), frozenset({0}), 0))
    with pytest.raises(ValueError, match="does not fit"):
        exclusive.read(text, exclusive.start(here, frozenset({1}), 0))


def test_this_machine_and_the_file(tmp_path: Path):
    here = topology()
    assert here
    assert all(cpu.core in here for cpu in here.values())
    state = StateFile(tmp_path / "deep" / "cpu_manager_state")
    assert state.read() == ""
    state.write("x")
    assert state.read() == "x"


@dataclass
class FakeWorker:
    pod: Pod
    observed: Observed
    is_expected: bool = True


class FakeRuntime:
    def __init__(self) -> None:
        self.moved: dict[str, str] = {}

    async def update_container(self, id_: str, limits: Limits) -> None:
        self.moved[id_] = limits.cpus


def test_who_shares_is_moved_off_and_back_again(tmp_path: Path):
    here = machine(1, 4, 1)
    state = StateFile(tmp_path / "s")
    empty = exclusive.start(here, frozenset({0}), 0)
    cpus, runtime = StaticProcessors(here, empty, state, {}), FakeRuntime()
    sharing, own = pod_of("sharing", "500m"), pod_of("own", "2")

    def running(pod: Pod) -> FakeWorker:
        return FakeWorker(pod, Observed((), (Running(f"{pod.uid}-id", "c0", 0, "s", "running"),)))

    workers = [running(sharing)]
    asyncio.run(cpus.reconcile(workers, runtime))
    assert runtime.moved == {"sharing-id": "0-3"}
    assert cpus.admit(own, {"sharing"}.__contains__) is None
    assert cpus.is_fixed(own)
    assert not cpus.is_fixed(sharing)
    limits = qos.limits_of(own, own.spec.containers[0], 1 << 30)
    bound = cpus.bind(own, own.spec.containers[0], limits)
    assert (bound.cpus, bound.cpu_quota) == ("1-2", 0)
    workers.append(running(own))
    asyncio.run(cpus.reconcile(workers, runtime))
    assert runtime.moved == {"sharing-id": "0,3", "own-id": "1-2"}
    again = StaticProcessors(here, exclusive.read(state.read(), empty), state, {})
    assert again.known == cpus.known
    workers[1].is_expected = False
    asyncio.run(cpus.reconcile(workers[:1], runtime))
    assert runtime.moved["sharing-id"] == "0-3"
    assert cpus.known == empty
