"""The first table of the goals: what one request costs the API server and its store, over TLS.

Each figure is CPU time of the server's process (``/proc/PID/stat``) divided by the number of
requests, while a client on the other core keeps 32 connections busy; rates are of the same run.
"""

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pilothouse.ops.bench import server, wire
from pilothouse.ops.bench.rows import Row
from pilothouse.services.runtime.clock import SystemClock

PODS = 2000
CLIENTS = 32
WATCHERS = 20
WATCHED_PODS = 2000
CROWD = 500
CROWDED_PODS = 200
PROTOBUF = "application/vnd.kubernetes.protobuf"
LISTS = 200
SELECTED_LISTS = 1000
DELIVERY_SECONDS_MAX = 120.0
NAMESPACE = "bench"
ADDED = b'{"type":"ADDED",'

# Kubernetes' own CPU in microseconds a request, and our goal, on this class of machine.
KUBERNETES = {
    "create pod": (715.0, 500.0),
    "get pod": (235.0, 120.0),
    "merge patch of a label": (1045.0, 600.0),
    "strategic patch of status": (1100.0, 650.0),
    "server-side apply of a label": (None, 900.0),
    "server-side apply of nothing new": (None, 700.0),
    "list 2,000 pods (resourceVersion=0)": (52_500.0, 3000.0),
    "list 40 of 2,000 by label": (700.0, 300.0),
    "delete pod": (965.0, 600.0),
    "create pod with 20 watchers": (1000.0, 700.0),
}

Connected = TypeVar("Connected", bound=wire.Connection)


@dataclass(slots=True)
class Client:
    """As many connections as requests at a time, kept alive."""

    address: tuple[str, int]
    context: ssl.SSLContext
    pod: server.Process
    clock: SystemClock = field(default_factory=SystemClock)
    idle: list[wire.Connection] = field(default_factory=list)

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        kind: str = "json",
        accept: str = "application/json",
    ) -> None:
        """Send one request; RuntimeError when it is refused."""
        headers = {
            "Content-Type": f"application/{kind}",
            "Accept": accept,
            "Accept-Encoding": "identity",
        }
        data = None if body is None else msgspec.json.encode(body)
        connection = self.idle.pop() if self.idle else await self.connected(wire.Connection())
        status, parts = await connection.call(wire.request(method, path, headers, data))
        self.idle.append(connection)
        if status >= 300:  # noqa: PLR2004 - the first that is no success
            raise RuntimeError(f"{method} {path}: {status} {b''.join(parts)[:300]!r}")

    async def connected(self, made: Connected) -> Connected:
        """The same, connected to the server."""
        await wire.connect(made, self.address, self.context)
        return made

    async def measure(
        self,
        name: str,
        calls: Sequence[Callable[[], Awaitable[Any]]],
        over: Callable[[], Awaitable[None]] | None = None,
    ) -> list[Row]:
        """Make all calls, 32 at a time; rows of server CPU, until ``over``, and rate."""
        waiting = iter(calls)
        cpu, began = self.pod.cpu_seconds(), self.clock.monotonic()

        async def work() -> None:
            for call in waiting:
                await call()

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(work())
        took = self.clock.monotonic() - began
        if over is not None:
            await over()
        cpu = self.pod.cpu_seconds() - cpu
        theirs, goal = KUBERNETES.get(name, (None, None))
        return [
            Row(name, "server us", cpu / len(calls) * 1e6, theirs=theirs, goal=goal),
            Row(name, "per s", len(calls) / took),
        ]


def pod(name: str) -> dict[str, Any]:
    """A pod of the size that people write by hand; one in fifty is labelled ``tier=rare``."""
    number = int(name.rsplit("-", 1)[1])
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"app": "bench", "tier": "rare" if number % 50 == 0 else "usual"},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "web",
                    "image": "nginx:1.29",
                    "ports": [{"containerPort": 80}],
                    "env": [{"name": "MODE", "value": "bench"}],
                    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
                }
            ],
        },
    }


def status_patch() -> dict[str, Any]:
    """What a kubelet writes when a pod has started."""
    now = "2026-01-01T00:00:00Z"
    return {
        "status": {
            "phase": "Running",
            "podIP": "10.244.1.7",
            "podIPs": [{"ip": "10.244.1.7"}],
            "startTime": now,
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": now}
                for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
            ],
        }
    }


async def run() -> list[Row]:
    """All rows of the table, against a fresh API server on a disk of its own."""
    with tempfile.TemporaryDirectory(prefix="pilothouse-bench-") as folder:
        async with server.running(Path(folder)) as (process, start_seconds):
            rows = [
                Row("start to ready", "s", start_seconds, theirs=3.8, goal=1.0),
                Row("memory, empty", "MB", process.resident_mb(), theirs=362.0, goal=80.0),
            ]
            async with _client(process) as client:
                rows += await _table(client)
            return rows


async def _table(client: Client) -> list[Row]:
    await _namespace(client, NAMESPACE)
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    names = [f"pod-{number}" for number in range(PODS)]
    rows = await client.measure(
        "create pod", [_bound(client, "POST", pods, pod(name)) for name in names]
    )
    rows += await client.measure("get pod", [_bound(client, "GET", f"{pods}/{n}") for n in names])
    label = {"metadata": {"labels": {"seen": "yes"}}}
    rows += await client.measure(
        "merge patch of a label",
        [_bound(client, "PATCH", f"{pods}/{n}", label, "merge-patch+json") for n in names],
    )
    rows += await client.measure(
        "strategic patch of status",
        [
            _bound(
                client, "PATCH", f"{pods}/{n}/status", status_patch(), "strategic-merge-patch+json"
            )
            for n in names
        ],
    )
    every, rare = f"{pods}?resourceVersion=0", f"{pods}?labelSelector=tier%3Drare"
    rows += await client.measure(
        "list 2,000 pods (resourceVersion=0)", [_bound(client, "GET", every)] * LISTS
    )
    rows += await client.measure(
        "list 40 of 2,000 by label", [_bound(client, "GET", rare)] * SELECTED_LISTS
    )
    # Created, patched and listed, as Kubernetes' own figure was taken.
    resident = client.pod.resident_mb()
    rows.append(Row("memory, with 2,000 pods", "MB", resident, theirs=707.0, goal=120.0))
    rows += await _packed(client, pods, names)
    rows += await _watched(client, "watched", WATCHERS, WATCHED_PODS)
    rows += await _watched(client, "crowded", CROWD, CROWDED_PODS)
    rows += await _applied(client, pods, names)
    now = {"gracePeriodSeconds": 0}
    rows += await client.measure(
        "delete pod", [_bound(client, "DELETE", f"{pods}/{n}", now) for n in names]
    )
    return rows


async def _applied(client: Client, pods: str, names: Sequence[str]) -> list[Row]:
    """Each pod gets a label from an applier of its own; then the same once more."""
    rows: list[Row] = []
    for what in ("server-side apply of a label", "server-side apply of nothing new"):
        calls = [
            _bound(
                client,
                "PATCH",
                f"{pods}/{name}?fieldManager=bench-apply",
                {"apiVersion": "v1", "kind": "Pod",
                 "metadata": {"name": name, "labels": {"applied": "yes"}}},
                "apply-patch+yaml",
            )
            for name in names
        ]  # fmt: skip
        rows += await client.measure(what, calls)
    return rows


async def _namespace(client: Client, name: str) -> None:
    """A namespace with the account that every pod runs as; no controller makes it here."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await client.call("POST", "/api/v1/namespaces", body)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    await client.call("POST", f"/api/v1/namespaces/{name}/serviceaccounts", account)


def _bound(client: Client, method: str, path: str, body: Any = None, kind: str = "json") -> Any:
    return lambda: client.call(method, path, body, kind)


async def _packed(client: Client, pods: str, names: Sequence[str]) -> list[Row]:
    """The same reads by a client that takes protobuf, as client-go's controllers do."""

    def get(path: str) -> Callable[[], Awaitable[Any]]:
        return lambda: client.call("GET", path, accept=PROTOBUF)

    rows = await client.measure("get pod, protobuf", [get(f"{pods}/{name}") for name in names])
    return rows + await client.measure(
        "list 2,000 pods, protobuf", [get(f"{pods}?resourceVersion=0")] * LISTS
    )


async def _watched(client: Client, name: str, watchers: int, count: int) -> list[Row]:
    """Create pods while watchers follow their namespace; every event must arrive."""
    await _namespace(client, name)
    pods = f"/api/v1/namespaces/{name}/pods"
    watches = [await client.connected(wire.Watch(ADDED, count)) for _ in range(watchers)]
    for watch in watches:
        watch.send(wire.request("GET", f"{pods}?watch=true", {}))
    await client.clock.sleep(0.5 + watchers / 100)

    async def told_all() -> None:
        async with asyncio.timeout(DELIVERY_SECONDS_MAX):
            for watch in watches:
                await watch.over.wait()

    rows = await client.measure(
        f"create pod with {watchers} watchers",
        [_bound(client, "POST", pods, pod(f"pod-{i}")) for i in range(count)],
        told_all,
    )
    for watch in watches:
        watch.close()
    expected = watchers * count
    told = f"events delivered to {watchers} watchers"
    rows.append(Row(told, f"of {expected}", sum(watch.seen for watch in watches), goal=expected))
    rows.append(Row(f"memory, with {watchers} watchers", "MB", client.pod.resident_mb()))
    return rows


@contextlib.asynccontextmanager
async def _client(process: server.Process) -> AsyncIterator[Client]:
    context = ssl.create_default_context(cafile=str(process.pki / "ca.crt"))
    context.load_cert_chain(process.pki / "admin.crt", process.pki / "admin.key")
    host, port = process.url.removeprefix("https://").rsplit(":", 1)
    client = Client((host, int(port)), context, process)
    try:
        yield client
    finally:
        for connection in client.idle:
            connection.close()
