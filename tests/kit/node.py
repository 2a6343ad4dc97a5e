"""A kubelet's workers on a real runtime, with a fake of the API server behind their ports."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from kit.containerd import Containerd
from kit.doom import Doom, DoomedChannel

from pilothouse.ops.local.kernel import enter_netns
from pilothouse.services.kubelet.adapters.cri.events import RuntimeEvents
from pilothouse.services.kubelet.adapters.cri.runtime import Cri, CriImages, CriStreams
from pilothouse.services.kubelet.adapters.images.records import PulledRecords
from pilothouse.services.kubelet.adapters.logs.folders import LogFolders
from pilothouse.services.kubelet.adapters.machine.cgroups import NodeCgroups
from pilothouse.services.kubelet.adapters.probing import NodeProbing
from pilothouse.services.kubelet.adapters.volumes.directories import NodeVolumes
from pilothouse.services.kubelet.adapters.volumes.images import ImageVolumes
from pilothouse.services.kubelet.parts import Node, Parts
from pilothouse.services.kubelet.pod.configs import Dns
from pilothouse.services.kubelet.pod.downward import Surroundings
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.ports import PullSecret
from pilothouse.services.kubelet.volumes.payload import Found
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.rpc.channel import open_channel


class FakeCluster:
    """Keeps what was written; ``objects`` are the ConfigMaps and Secrets there are."""

    def __init__(self) -> None:
        self.statuses: dict[str, dict[str, Any]] = {}
        self.history: list[tuple[str, dict[str, Any]]] = []
        self.removed: list[str] = []
        self.objects: dict[tuple[str, str], dict[str, bytes]] = {}

    async def config_map(self, key):
        return self._object("configmap", key)

    async def secret(self, key):
        return self._object("secret", key)

    async def pull_secret(self, key):
        return PullSecret(key.name, key.namespace, key.name, self._object("secret", key))

    def _object(self, kind, key):
        if (kind, key.name) not in self.objects:
            raise NotFound(f'{kind} "{key.name}" not found')
        return self.objects[kind, key.name]

    async def token(self, pod, source):
        return f"token-of-{pod.metadata.name}", time.time() + source.expiration_seconds

    async def write_status(self, pod, status):
        kept = self.statuses.setdefault(pod.uid, {})
        conditions = {item["type"]: item for item in kept.get("conditions", [])}
        for item in status.get("conditions", []):
            both = conditions.get(item["type"], {}) | item
            conditions[item["type"]] = {k: v for k, v in both.items() if v is not None}
        merged = {key: value for key, value in (kept | status).items() if value is not None}
        for key in ("podIPs", "hostIPs"):
            merged[key] = [item for item in merged.get(key, []) if "$patch" not in item]
        kept.clear()
        kept.update(json.loads(json.dumps(merged)) | {"conditions": list(conditions.values())})
        self.history.append((pod.uid, status))

    async def remove(self, pod):
        self.removed.append(pod.uid)

    def services(self, namespace):
        return []


class FakeSources:
    """What volumes show of a fake cluster; asked again when a pod is looked at."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster

    async def fetch(self, pod, volume, parts, changed):
        objects, tokens = {"configmap": {}, "secret": {}}, {}
        for part in parts:
            if part.service_account_token is not None:
                source = part.service_account_token
                tokens[source], _ = await self.cluster.token(pod, source)
        for (kind, name), content in self.cluster.objects.items():
            objects[kind][name] = content
        return Found(objects["configmap"], objects["secret"], tokens), None

    def forget(self, uid):
        pass


class FakeNotes:
    """Events in order."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str, str]] = []

    def note(self, about, type_, reason, message):
        self.notes.append((about.name, reason, message))

    def reasons(self, name: str) -> list[str]:
        return [reason for about, reason, _ in self.notes if about == name]


@dataclass
class Workers:
    """What a test needs of a running node."""

    containerd: Containerd
    cluster: FakeCluster
    notes: FakeNotes
    pods: Pods
    cri: Cri
    streams: CriStreams
    volumes: NodeVolumes
    cgroups: NodeCgroups
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)

    def apply(self, body: dict[str, Any]) -> None:
        """As the API server's watch brings it; the status is what was written last."""
        uid = body["metadata"]["uid"]
        old = self.bodies.get(uid)
        body = body | {"status": self.cluster.statuses.get(uid, {})}
        self.bodies[uid] = body
        self.pods.change(None if old is None else view(old), view(body))

    def delete(self, uid: str, grace: int = 5) -> None:
        """A graceful deletion begins."""
        body = json.loads(json.dumps(self.bodies[uid]))
        body["metadata"] |= {
            "deletionTimestamp": "2026-11-21T10:00:00Z",
            "deletionGracePeriodSeconds": grace,
            "resourceVersion": "9",
        }
        self.apply(body)

    def status(self, uid: str) -> dict[str, Any]:
        return self.cluster.statuses.get(uid, {})

    def container(self, uid: str, name: str = "main") -> dict[str, Any]:
        for item in (
            *self.status(uid).get("containerStatuses", ()),
            *self.status(uid).get("initContainerStatuses", ()),
        ):
            if item["name"] == name:
                return item
        return {}

    def is_ready(self, uid: str) -> bool:
        found = {item["type"]: item["status"] for item in self.status(uid).get("conditions", ())}
        return found.get("Ready") == "True"


def view(body: dict[str, Any]) -> Pod:
    return msgspec.json.decode(json.dumps(body), type=Pod)


@contextlib.asynccontextmanager
async def workers(
    containerd: Containerd, cluster: FakeCluster | None = None, doom: Doom | None = None
) -> AsyncIterator[Workers]:
    """A kubelet without an API server, until the block ends; containers stay."""
    clock, notes = SystemClock(), FakeNotes()
    cluster = cluster or FakeCluster()
    async with open_channel(containerd.endpoint) as plain:
        channel = plain if doom is None else DoomedChannel(plain, doom)
        cri, streams = Cri(channel), CriStreams(channel)
        around = Surroundings("10.90.0.11", (), {"cpu": "2", "memory": "1Gi"})
        volumes = NodeVolumes(
            containerd.root / "kubelet", FakeSources(cluster), around, "cluster.local"
        )
        cgroups = NodeCgroups(containerd.cgroup_root)
        dns = Dns((), ("cluster.local",))
        logs = containerd.root / "logs"
        node = Node("node-1", around, 1 << 34, containerd.cgroup_root, logs, dns, Dns())
        parts = Parts(
            node, clock, cri, CriImages(channel), NodeProbing(streams, clock),
            cluster, volumes, cgroups, notes, LogFolders(),
            image_volumes=ImageVolumes(channel, containerd.root / "kubelet"),
            pulled=PulledRecords(containerd.root / "kubelet"),
        )  # fmt: skip
        pods = Pods(parts, cri, RuntimeEvents(channel), [volumes, cgroups])
        async with asyncio.TaskGroup() as group:
            running = group.create_task(pods.run())
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(0.3, pods.complete)
            yield Workers(containerd, cluster, notes, pods, cri, streams, volumes, cgroups)
            running.cancel()


async def inside(containerd: Containerd, test) -> None:
    """Run the coroutine function ``test`` in a thread of the runtime's network namespace."""

    def run() -> None:

        enter_netns(Path("/run/netns") / containerd.netns)
        asyncio.run(test())

    await asyncio.to_thread(run)
