"""Pods started and removed on one node, beside what containerd alone needs for the same.

Started: from the create's answer until the API server's watch shows the pod Ready. The runtime's
own time is the same sandbox and container asked for over CRI, nobody between.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from statistics import median
from typing import Any

import msgspec

from pilothouse.ops.bench import start
from pilothouse.ops.bench.idle import cpu_seconds
from pilothouse.ops.bench.rows import Row
from pilothouse.ops.local import processes
from pilothouse.ops.local.cluster import load
from pilothouse.ops.local.take_down import take_down
from pilothouse.services.kubelet.adapters.cri.runtime import Cri, CriImages
from pilothouse.services.kubelet.pod.configs import ContainerConfig, Dns, SandboxConfig
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources.qos import Limits
from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import PODS
from pilothouse.services.runtime.client.cache import Cache
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.rpc.channel import open_channel

ALONE = 8
TOGETHER = 40
CROWD = 100
SETTLE_SECONDS, IDLE_SECONDS = 10.0, 20.0
WAIT_SECONDS_MAX = 120.0
RUNTIME_SECONDS = 0.13
RUNTIME_RATE = 15.0
GOAL_RATE = 12.0
OVERHEAD_GOAL_MS = 30.0
IMAGE = "busybox"
COMMAND = ("sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait")


class Watched:
    """Pods as the watch shows them."""

    def __init__(self, objects: Objects) -> None:
        self.cache = Cache(objects, PODS, pods.Pod)
        self._changed = asyncio.Event()
        self.cache.on_change(lambda _, __: self._changed.set())

    async def wait(self, names: Sequence[str], *, ready: bool) -> None:
        """Until all of them are Ready, or all are gone."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not all(self._is(name, ready=ready) for name in names):
                self._changed.clear()
                await self._changed.wait()

    def _is(self, name: str, *, ready: bool) -> bool:
        found = self.cache.get(Key("default", name))
        return found is None if not ready else found is not None and pods.is_ready(found)


async def run() -> list[Row]:
    """One at a time, and many at once."""
    await asyncio.to_thread(take_down, start.CLUSTER, keep_state=False)
    try:
        await start.up()
        with _kubelet_paused():
            own = await _runtime_alone()
        async with _watched() as (objects, watched):
            alone = [await _one(objects, watched, f"alone-{n}") for n in range(ALONE)]
            before = _cpu()
            up, down = await _many(objects, watched)
            spent = {name: (used - before[name]) / TOGETHER for name, used in _cpu().items()}
            idle = await _idle(objects, watched)
    finally:
        await asyncio.to_thread(take_down, load(start.CLUSTER.name) or start.CLUSTER,
                                keep_state=False)  # fmt: skip
    return [
        Row("runtime alone, sandbox to started", "ms", median(own) * 1000,
            theirs=RUNTIME_SECONDS * 1000, note="the machine's figure beside"),
        Row("one pod, created to Ready", "ms", median(alone) * 1000),
        Row("of it over the runtime's own time", "ms", (median(alone) - median(own)) * 1000,
            goal=OVERHEAD_GOAL_MS),
        Row(f"{TOGETHER} pods at once, started", "pods/s", TOGETHER / up, theirs=RUNTIME_RATE,
            goal=GOAL_RATE, note="beside containerd's limit"),
        Row(f"{TOGETHER} pods at once, removed", "pods/s", TOGETHER / down, theirs=RUNTIME_RATE,
            note="beside containerd's limit"),
        *(Row(f"CPU of the {name}, a pod started and removed", "ms", used * 1000)
          for name, used in spent.items()),
        *(Row(f"CPU of the {name}, {CROWD} pods idle", "%", used * 100)
          for name, used in idle.items()),
    ]  # fmt: skip


def _cpu() -> dict[str, float]:
    """Seconds that the kubelet of the node and whoever serves the API have used so far."""
    known = processes.remembered(start.CLUSTER.run / "pids")
    names = {"kubelet": f"kubelet-{start.CLUSTER.members[0].name}", "API server": "apiserver"}
    return {
        name: sum(cpu_seconds(one.pid) for one in known if one.name == full)
        for name, full in names.items()
    }


async def _idle(objects: Objects, watched: Watched) -> dict[str, float]:
    """Shares of a core while many pods run and nothing happens."""
    clock, names = SystemClock(), [f"idle-{n}" for n in range(CROWD)]
    for name in names:
        await objects.create(PODS, "default", _body(name))
    await watched.wait(names, ready=True)
    await clock.sleep(SETTLE_SECONDS)
    before, began = _cpu(), clock.monotonic()
    await clock.sleep(IDLE_SECONDS)
    passed = clock.monotonic() - began
    return {name: (used - before[name]) / passed for name, used in _cpu().items()}


@contextlib.contextmanager
def _kubelet_paused() -> Iterator[None]:
    """It would take sandboxes that the API server does not know for orphans."""
    known = processes.remembered(start.CLUSTER.run / "pids")
    kubelets = [process for process in known if process.name.startswith("kubelet")]
    for kubelet in kubelets:
        kubelet.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for kubelet in kubelets:
            kubelet.signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def _watched() -> AsyncIterator[tuple[Objects, Watched]]:
    async with open_channel(f"unix://{start.CLUSTER.run}/apiserver.sock") as channel:
        objects = Objects(channel)
        watched = Watched(objects)
        async with asyncio.TaskGroup() as group:
            following = group.create_task(watched.cache.run())
            await watched.cache.wait_synced()
            yield objects, watched
            following.cancel()


def _body(name: str) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": list(COMMAND),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "containers": [container],
            "nodeName": start.CLUSTER.members[0].name,
        },
    }


async def _one(objects: Objects, watched: Watched, name: str) -> float:
    clock = SystemClock()
    await objects.create(PODS, "default", _body(name))
    began = clock.monotonic()
    await watched.wait([name], ready=True)
    took = clock.monotonic() - began
    await objects.delete(PODS, Key("default", name))
    await watched.wait([name], ready=False)
    await clock.sleep(1.0)
    return took


async def _many(objects: Objects, watched: Watched) -> tuple[float, float]:
    """Seconds until all are Ready, and until all are gone."""
    clock = SystemClock()
    names = [f"many-{n}" for n in range(TOGETHER)]
    began = clock.monotonic()
    for name in names:
        await objects.create(PODS, "default", _body(name))
    await watched.wait(names, ready=True)
    up = clock.monotonic() - began
    began = clock.monotonic()
    for name in names:
        await objects.delete(PODS, Key("default", name))
    await watched.wait(names, ready=False)
    return up, clock.monotonic() - began


async def _runtime_alone() -> list[float]:
    """Seconds from a sandbox's request to its container's start, one after the other."""
    clock, took = SystemClock(), []
    node = start.CLUSTER.members[0]
    async with open_channel(f"unix://{node.containerd_socket}") as channel:
        cri, images = Cri(channel), CriImages(channel)
        image = await images.find(IMAGE)
        if image is None:
            raise RuntimeError(f"image {IMAGE} is not on the node")
        for number in range(ALONE):
            body = _body(f"bare-{number}")
            body["metadata"]["uid"] = f"bare-{number}"
            pod = msgspec.convert(body, Pod)
            logs = f"{node.state}/logs/pods/bare"
            parent = f"/{node.cluster.slug}/{node.name}/besteffort/pod{pod.uid}"
            sandbox = SandboxConfig(pod, 0, pod.metadata.name, Dns(), logs, parent)
            config = ContainerConfig(
                spec=pod.spec.containers[0],
                attempt=0,
                made_of="",
                wait_seconds=0.0,
                command=COMMAND,
                args=(),
                env={},
                mounts=(),
                limits=Limits(2, 0, 0, 1000),
            )
            (node.state / "logs/pods/bare/main").mkdir(parents=True, exist_ok=True)
            began = clock.monotonic()
            id_ = await cri.run_sandbox(sandbox)
            made = await cri.create_container(id_, sandbox, config, image.ref)
            await cri.start_container(made)
            took.append(clock.monotonic() - began)
            await cri.stop_sandbox(id_)
            await cri.remove_sandbox(id_)
    return took
