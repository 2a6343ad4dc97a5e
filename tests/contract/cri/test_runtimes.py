"""What the kubelet asks of a runtime, of every runtime there is: containerd, and one in memory."""

import uuid
from ipaddress import IPv4Network

import pytest
from kit.containerd import Containerd, pod_of
from kit.node import view

from pilothouse.services.kubelet.adapters.cri.runtime import Cri
from pilothouse.services.kubelet.adapters.hollow.addresses import NodeAddresses, Pool
from pilothouse.services.kubelet.adapters.hollow.runtime import MemoryRuntime
from pilothouse.services.kubelet.pod.configs import ContainerConfig, Dns, SandboxConfig
from pilothouse.services.kubelet.pod.observed import Observed
from pilothouse.services.kubelet.ports import PodRef
from pilothouse.services.kubelet.resources.qos import Limits
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.rpc.channel import open_channel

LIMITS = Limits(2, 0, 0, 1000)
IMAGE = "docker.io/library/busybox:latest"


class Subject:
    """A runtime, and what it is told of one pod."""

    def __init__(self, runtime, logs, cgroups, **spec):
        self.runtime = runtime
        self.uid = f"uid-{uuid.uuid4().hex[:12]}"
        self.pod = view(pod_of(self.uid, name=f"pod-{self.uid[4:]}", **spec))
        self._logs = str(logs / self.uid)
        self._cgroups = f"{cgroups}/besteffort/pod{self.uid}"

    def sandbox(self, attempt=0):
        return SandboxConfig(self.pod, attempt, "web", Dns(), self._logs, self._cgroups)

    def container(self, attempt=0):
        spec = self.pod.spec.containers[0]
        return ContainerConfig(
            spec=spec, attempt=attempt, made_of="fingerprint", wait_seconds=10.0,
            command=list(spec.command), args=[], env={"A": "b"}, mounts=[], limits=LIMITS,
        )  # fmt: skip

    async def create(self, sandbox_id, attempt=0):
        config = self.container(attempt)
        return await self.runtime.create_container(sandbox_id, self.sandbox(), config, IMAGE)

    async def observe(self):
        return await self.runtime.observe(self.uid)

    async def surveyed(self):
        seen = await self.runtime.survey()
        metadata = self.pod.metadata
        return seen.get(PodRef(self.uid, metadata.namespace, metadata.name))


@pytest.fixture(params=["memory", "containerd", "cri_shim"])
async def subject(request, tmp_path):
    if request.param == "memory":
        addresses = NodeAddresses(Pool(IPv4Network("100.64.0.0/24")))
        addresses.configure("10.1.2.0/24")
        yield Subject(MemoryRuntime(SystemClock(), addresses), tmp_path, "/none")
        return
    containerd: Containerd = request.getfixturevalue(f"{request.param}_runtime")
    async with open_channel(containerd.endpoint) as channel:
        made = Subject(Cri(channel), containerd.root / "logs", containerd.cgroup_root)
        yield made
        for sandbox in (await made.observe()).sandboxes:
            await made.runtime.stop_sandbox(sandbox.id)
            await made.runtime.remove_sandbox(sandbox.id)


async def test_of_an_unknown_pod_there_is_nothing(subject):
    assert await subject.observe() == Observed()
    assert await subject.surveyed() is None


async def test_a_container_is_created_runs_and_ends(subject):
    sandbox_id = await subject.runtime.run_sandbox(subject.sandbox())
    (sandbox,) = (await subject.observe()).sandboxes
    assert (sandbox.id, sandbox.attempt, sandbox.ready) == (sandbox_id, 0, True)
    assert len(sandbox.ips) == 1

    id_ = await subject.create(sandbox_id)
    (made,) = (await subject.observe()).containers
    assert (made.id, made.name, made.attempt, made.state) == (id_, "main", 0, "created")
    assert (made.sandbox_id, made.made_of, made.wait_seconds) == (sandbox_id, "fingerprint", 10.0)
    created = await subject.surveyed()

    await subject.runtime.start_container(id_)
    (running,) = (await subject.observe()).containers
    assert running.state == "running"
    assert running.started_at >= running.created_at > 0
    started = await subject.surveyed()
    assert started != created, "a survey tells states apart"

    await subject.runtime.update_container(id_, LIMITS)
    await subject.runtime.stop_container(id_, 5)
    (ended,) = (await subject.observe()).containers
    assert (ended.state, ended.exit_code) == ("exited", 0)
    assert ended.finished_at >= ended.started_at
    assert await subject.surveyed() != started


async def test_without_grace_it_is_killed(subject):
    sandbox_id = await subject.runtime.run_sandbox(subject.sandbox())
    id_ = await subject.create(sandbox_id)
    await subject.runtime.start_container(id_)
    await subject.runtime.stop_container(id_, 0)
    (ended,) = (await subject.observe()).containers
    assert (ended.state, ended.exit_code) == ("exited", 137)


async def test_the_newest_attempt_comes_first(subject):
    sandbox_id = await subject.runtime.run_sandbox(subject.sandbox())
    for attempt in (0, 1):
        id_ = await subject.create(sandbox_id, attempt)
        await subject.runtime.start_container(id_)
        await subject.runtime.stop_container(id_, 0)
    assert [item.attempt for item in (await subject.observe()).containers] == [1, 0]
    await subject.runtime.stop_sandbox(sandbox_id)
    await subject.runtime.run_sandbox(subject.sandbox(1))
    found = (await subject.observe()).sandboxes
    assert [(item.attempt, item.ready) for item in found] == [(1, True), (0, False)]


async def test_a_stopped_sandbox_takes_its_containers_along(subject):
    sandbox_id = await subject.runtime.run_sandbox(subject.sandbox())
    id_ = await subject.create(sandbox_id)
    await subject.runtime.start_container(id_)
    for _ in range(2):
        await subject.runtime.stop_sandbox(sandbox_id)
    found = await subject.observe()
    assert not found.sandboxes[0].ready
    assert found.containers[0].state == "exited"
    assert found.alive() == []


async def test_what_is_gone_is_no_error_to_stop_or_remove(subject):
    sandbox_id = await subject.runtime.run_sandbox(subject.sandbox())
    id_ = await subject.create(sandbox_id)
    await subject.runtime.start_container(id_)
    await subject.runtime.stop_container(id_, 0)
    for _ in range(2):
        await subject.runtime.stop_container(id_, 0)
        await subject.runtime.remove_container(id_)
    assert (await subject.observe()).containers == ()
    await subject.create(sandbox_id, 1)
    for _ in range(2):
        await subject.runtime.stop_sandbox(sandbox_id)
        await subject.runtime.remove_sandbox(sandbox_id)
    assert await subject.observe() == Observed()
    assert await subject.surveyed() is None


async def test_what_can_not_be_is_refused(subject):
    with pytest.raises(ApiError):
        await subject.create("nothing")
    with pytest.raises(ApiError):
        await subject.runtime.start_container("nothing")
    sandbox_id = await subject.runtime.run_sandbox(subject.sandbox())
    with pytest.raises(ApiError):
        await subject.runtime.run_sandbox(subject.sandbox())
    id_ = await subject.create(sandbox_id)
    with pytest.raises(ApiError):
        await subject.create(sandbox_id)
    await subject.runtime.start_container(id_)
    with pytest.raises(ApiError):
        await subject.runtime.start_container(id_)
    assert len((await subject.observe()).sandboxes) == 1
