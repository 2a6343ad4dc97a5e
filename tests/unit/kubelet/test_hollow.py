"""Simulated nodes: courses of containers, addresses, identities, flags."""

import asyncio
from ipaddress import IPv4Network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.containerd import pod_of
from kit.node import view

from pilothouse.services.kubelet.adapters.hollow import addresses, course
from pilothouse.services.kubelet.adapters.hollow.addresses import NodeAddresses, Pool
from pilothouse.services.kubelet.adapters.hollow.course import Course
from pilothouse.services.kubelet.adapters.hollow.runtime import MemoryRuntime
from pilothouse.services.kubelet.hollow import config, identities
from pilothouse.services.kubelet.node import node
from pilothouse.services.kubelet.pod.configs import ContainerConfig, Dns, SandboxConfig
from pilothouse.services.kubelet.resources.qos import Limits
from pilothouse.services.machinery.errors import BadRequest, ServiceUnavailable

JOB = [{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": True}]


class HandClock:
    """Time moves when somebody waits, by what is waited for."""

    def __init__(self):
        self.time = 1000.0

    def now(self):
        return self.time

    def monotonic(self):
        return self.time

    async def sleep(self, seconds):
        self.time += seconds
        await asyncio.sleep(0)


def pod(annotations=None, owners=(), **spec):
    body = pod_of("uid", **spec)
    body["metadata"] |= {"annotations": annotations or {}, "ownerReferences": list(owners)}
    return view(body)


def course_of(annotations=None, owners=(), **spec):
    made = pod(annotations, owners, **spec)
    return course.of(made, made.spec.containers[0])


def test_a_container_runs_until_it_is_asked_to_end():
    assert course_of() == Course(None, 0, 0.0)


def test_a_job_s_work_takes_a_second_or_what_it_says():
    assert course_of(owners=JOB).run_seconds == course.JOB_SECONDS
    assert course_of({course.RUN_SECONDS: "7.5"}, JOB).run_seconds == 7.5
    assert course_of({course.RUN_SECONDS: "0"}).run_seconds == 0.0


def test_an_exit_code_alone_is_an_exit_at_once():
    assert course_of({course.EXIT_CODE: "3"}) == Course(0.0, 3, 0.0)
    assert course_of({course.EXIT_CODE: "3"}, JOB) == Course(course.JOB_SECONDS, 3, 0.0)


def test_init_containers_do_their_work_and_sidecars_stay():
    plain = {"name": "one", "image": "i"}
    sidecar = {"name": "two", "image": "i", "restartPolicy": "Always"}
    made = pod({course.RUN_SECONDS: "5"}, initContainers=[plain, sidecar])
    assert course.of(made, made.spec.init_containers[0]) == Course(0.0, 0, 0.0)
    assert course.of(made, made.spec.init_containers[1]) == Course(None, 0, 0.0)


@pytest.mark.parametrize(
    "wrong",
    [{course.RUN_SECONDS: "soon"}, {course.RUN_SECONDS: "-1"}, {course.RUN_SECONDS: "inf"},
     {course.RUN_SECONDS: "nan"}, {course.EXIT_CODE: "1.5"}, {course.EXIT_CODE: "256"},
     {course.STOP_SECONDS: ""}],
)  # fmt: skip
def test_an_annotation_that_can_not_be_read_is_named(wrong):
    (name,) = wrong
    with pytest.raises(BadRequest, match=name):
        course_of(wrong)


async def running(runtime, made):
    """A container of ``made`` that runs."""
    sandbox = SandboxConfig(made, 0, "web", Dns(), "", "")
    spec = made.spec.containers[0]
    config_ = ContainerConfig(spec, 0, "f", 0.0, [], [], {}, [], Limits(2, 0, 0, 0))
    sandbox_id = await runtime.run_sandbox(sandbox)
    id_ = await runtime.create_container(sandbox_id, sandbox, config_, "i")
    await runtime.start_container(id_)
    return id_


def here(clock):
    given_ = NodeAddresses(Pool(IPv4Network("100.64.0.0/24")))
    given_.configure("10.0.0.0/24")
    return MemoryRuntime(clock, given_)


async def test_an_exit_is_told_when_its_course_ends():
    clock = HandClock()
    runtime = here(clock)
    id_ = await running(runtime, pod({course.RUN_SECONDS: "0", course.EXIT_CODE: "4"}))
    async for told in runtime.exits():
        assert told == id_
        break
    (ended,) = (await runtime.observe("uid")).containers
    assert (ended.state, ended.exit_code, ended.reason) == ("exited", 4, "Error")


async def test_who_was_stopped_before_is_not_told():
    runtime = here(HandClock())
    stopped = await running(runtime, pod({course.RUN_SECONDS: "0"}))
    await runtime.stop_container(stopped, 0)
    body = pod_of("other", name="other")
    body["metadata"]["annotations"] = {course.RUN_SECONDS: "0"}
    ended = await running(runtime, view(body))
    async for told in runtime.exits():
        assert told == ended
        break


async def test_one_that_takes_its_time_to_end_is_killed_past_its_grace():
    clock = HandClock()
    runtime = here(clock)
    id_ = await running(runtime, pod({course.STOP_SECONDS: "20"}))
    await runtime.stop_container(id_, 30)
    (ended,) = (await runtime.observe("uid")).containers
    assert (ended.exit_code, ended.finished_at) == (0, 1020.0)
    slow = here(clock)
    id_ = await running(slow, pod({course.STOP_SECONDS: "20"}))
    await slow.stop_container(id_, 5)
    (ended,) = (await slow.observe("uid")).containers
    assert (ended.exit_code, ended.finished_at) == (137, 1025.0)


@given(st.lists(st.booleans(), max_size=60))
def test_no_address_is_given_twice(takes):
    pool, held = Pool(IPv4Network("10.0.0.0/27")), []
    for take in takes:
        if take and len(held) < 29:
            found = pool.take()
            assert found not in held
            held.append(found)
        elif held:
            assert pool.give_back(held.pop(0))
    assert not {"10.0.0.0", "10.0.0.1", "10.0.0.31"} & set(held)


def test_a_range_has_an_end_and_knows_its_own():
    pool = Pool(IPv4Network("10.0.0.0/29"))
    held = [pool.take() for _ in range(5)]
    with pytest.raises(ServiceUnavailable, match=r"10\.0\.0\.0/29"):
        pool.take()
    assert not pool.give_back("10.9.9.9")
    assert pool.give_back(held[2])
    assert pool.take() == held[2]


async def test_pods_wait_for_their_node_s_range_and_not_for_ever(monkeypatch):
    shared = Pool(IPv4Network("100.64.0.0/24"))
    late = NodeAddresses(shared)
    asyncio.get_running_loop().call_soon(late.configure, "10.5.0.0/24")
    assert await late.take() == "10.5.0.2"
    monkeypatch.setattr(addresses, "RANGE_SECONDS_MAX", 0.0)
    never = NodeAddresses(shared)
    first = await never.take()
    assert first == "100.64.0.2"
    never.configure("10.6.0.0/24")
    assert await never.take() == "10.6.0.2"
    never.give_back(first)
    never.configure("fd00::/64")
    assert await never.take() == "10.6.0.3", "only IPv4 is simulated"


def test_nodes_have_names_addresses_zones_labels_and_taints_of_their_own():
    told = config.parse(
        ["--nodes=300", "--first=100", "--zones=3", "--labels=pool=big", "--cpu=8", "--memory=1Gi",
         "--register-with-taints=kwok.x-k8s.io/node=fake:NoSchedule,off:NoExecute"]
    )  # fmt: skip
    made = [identities.identity(told, number) for number in range(100, 400)]
    assert (made[0].name, made[-1].name) == ("simulated-100", "simulated-399")
    assert len({item.ip for item in made}) == 300
    labels = node.labels(made[1], identities.machine(told))
    assert labels["type"] == "kwok"
    assert labels["pool"] == "big"
    assert labels[identities.ZONE] == "zone-2"
    assert made[0].taints == (
        {"key": "kwok.x-k8s.io/node", "effect": "NoSchedule", "value": "fake"},
        {"key": "off", "effect": "NoExecute"},
    )
    amounts = node.allocatable(made[0], identities.machine(told))
    assert (amounts["cpu"], amounts["memory"], amounts["pods"]) == ("8", "1048576Ki", "110")


def test_first_renewals_are_spread():
    seconds = sorted(identities.first_renewal_seconds(number) for number in range(5000))
    gaps = [after - before for before, after in pairwise(seconds)]
    assert max(gaps) < 0.02
    assert seconds[0] >= node.RENEW_SECONDS
    assert seconds[-1] < node.LEASE_SECONDS


@pytest.mark.parametrize(
    "wrong",
    [["--nodes=0"], [], ["--nodes=3", "--labels=a"], ["--nodes=3", "--labels=/x=y"],
     ["--nodes=3", "--register-with-taints=a=b"], ["--nodes=3", "--memory=much"],
     ["--nodes=3", "--register-with-taints=a=b:Never"], ["--nodes=3", "--server=127.0.0.1:1"],
     ["--nodes=3", "--node-cidr=10.0.0.0/31"]],
)  # fmt: skip
def test_flags_that_make_no_sense_are_refused(wrong):
    with pytest.raises(SystemExit):
        config.parse(wrong)
