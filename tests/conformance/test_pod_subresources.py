"""Ephemeral containers, resizes, and streams of running pods."""

import asyncio
import json
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from kit.cluster import Cluster
from kit.official import Official
from kit.syllabus import line

EPHEMERAL = "common/node/ephemeral_containers.go"
RESIZE = "common/node/pod_resize.go"
PODS = "common/node/pods.go"
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}
Run = Callable[..., Any]


def busybox(name: str, *command: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": list(command or ("sleep", "1000")),
        **more,
    }


@pytest.fixture
def run(cluster: Cluster, client: Official, namespace: str) -> Run:
    """Runs a pod ``p`` of these containers; its path."""

    def runs(*containers: dict[str, Any]) -> str:
        spec = {"containers": list(containers), "terminationGracePeriodSeconds": 0}
        client.core.create_namespaced_pod(namespace, {"metadata": {"name": "p"}, "spec": spec})
        cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/p", "--timeout=60s")
        return f"/api/v1/namespaces/{namespace}/pods/p"

    return runs


def guests(client: Official, path: str) -> dict[str, Any]:
    status = client.raw("GET", path).json["status"]
    return {item["name"]: item for item in status.get("ephemeralContainerStatuses", ())}


@line(EPHEMERAL, "start an ephemeral container")
def test_a_guest_starts_in_the_pod(cluster: Cluster, client: Official, run: Run) -> None:
    path = run(busybox("main"))
    guest = busybox("guest", "sh", "-c", "ps; sleep 1000", targetContainerName="main")
    patch = {"spec": {"ephemeralContainers": [guest]}}
    answer = client.raw("PATCH", f"{path}/ephemeralcontainers", patch, headers=STRATEGIC)
    assert answer.code == 200, answer.body
    namespace = path.split("/")[4]
    cluster.eventually(
        "it runs", lambda: "running" in guests(client, path).get("guest", {}).get("state", {})
    )
    assert (
        cluster.kubectl("-n", namespace, "exec", "p", "-c", "guest", "--", "echo", "hi") == "hi\n"
    )
    cluster.eventually(
        "it sees main's process",
        lambda: "sleep 1000" in cluster.kubectl("-n", namespace, "logs", "p", "-c", "guest"),
    )
    changed = {"spec": {"ephemeralContainers": [{"name": "guest", "image": "other"}]}}
    refused = client.raw("PATCH", f"{path}/ephemeralcontainers", changed, headers=STRATEGIC)
    assert refused.code == 422
    assert 'existing ephemeral containers "guest" may not be changed' in refused.json["message"]
    direct = client.raw("PATCH", path, {"spec": {"ephemeralContainers": []}}, headers={
        "Content-Type": "application/merge-patch+json"})  # fmt: skip
    assert direct.code == 422


@line(EPHEMERAL, "update ephemeral containers")
def test_a_second_guest_joins(cluster: Cluster, client: Official, run: Run) -> None:
    path = run(busybox("main"))

    def join(name: str) -> Any:
        shown = client.raw("GET", f"{path}/ephemeralcontainers").json
        have = shown["spec"].get("ephemeralContainers", [])
        shown["spec"]["ephemeralContainers"] = [*have, busybox(name, "true")]
        answer = client.raw("PUT", f"{path}/ephemeralcontainers", shown)
        # The kubelet may have written in between.
        return None if answer.code == 409 else answer

    for number in (1, 2):
        answer = cluster.eventually("it is let in", lambda n=number: join(f"guest-{n}"))
        assert answer.code == 200, answer.body
        assert len(answer.json["spec"]["ephemeralContainers"]) == number

    def ended() -> bool:
        found = guests(client, path)
        return len(found) == 2 and all("terminated" in each["state"] for each in found.values())

    cluster.eventually("both ran once", ended)
    assert all(each["restartCount"] == 0 for each in guests(client, path).values())


def amounts(cpu: str, memory: str, times: int = 2) -> dict[str, Any]:
    """Requests, and limits that are larger."""
    number, unit = int(memory[:-2]), memory[-2:]
    limits = {"cpu": f"{int(cpu[:-1]) * times}m", "memory": f"{number * times}{unit}"}
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": limits}


def quota(cluster: Cluster, path: str, container: str) -> int:
    """Thousandths of a CPU that the container's own cgroup allows."""
    files = "/sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us"
    words = ["sh", "-c", f"cat {files} 2>/dev/null || true"]
    said = cluster.kubectl("-n", path.split("/")[4], "exec", "p", "-c", container, "--", *words)
    return int(said.split()[0]) // 100


def settled(client: Official, path: str, wanted: dict[str, Any]) -> bool:
    pod = client.raw("GET", path).json
    told = {item["name"]: item["resources"] for item in pod["status"]["containerStatuses"]}
    types = {item["type"] for item in pod["status"]["conditions"]}
    return told == wanted and not types & {"PodResizePending", "PodResizeInProgress"}


@line(RESIZE, "in-place resize, 6 containers")
def test_containers_are_resized_in_place(cluster: Cluster, client: Official, run: Run) -> None:
    names = [f"c{number}" for number in range(1, 7)]
    path = run(*(busybox(name, resources=amounts("10m", "20Mi")) for name in names))
    more = {"cpu": amounts("15m", "20Mi"), "memory": amounts("10m", "25Mi"),
            "both": amounts("15m", "25Mi"), "less": amounts("5m", "20Mi")}  # fmt: skip
    wanted = dict(zip(names, [*more.values(), *[amounts("10m", "20Mi")] * 2], strict=True))
    containers = [{"name": name, "resources": wanted[name]} for name in names[:4]]
    patch = {"spec": {"containers": containers}}
    answer = client.raw("PATCH", f"{path}/resize", patch, headers=STRATEGIC)
    assert answer.code == 200, answer.body
    cluster.eventually("all have it", lambda: settled(client, path, wanted))
    pod = client.raw("GET", path).json
    assert {item["restartCount"] for item in pod["status"]["containerStatuses"]} == {0}
    assert [quota(cluster, path, name) for name in names] == [30, 20, 30, 10, 20, 20]


@line(RESIZE, "resize with equivalents")
def test_amounts_the_kernel_can_not_tell_apart(
    cluster: Cluster, client: Official, run: Run
) -> None:
    path = run(busybox("c1", resources={"requests": {"cpu": "2m"}, "limits": {"cpu": "10m"}}))
    wanted = {"requests": {"cpu": "1m"}, "limits": {"cpu": "5m"}}
    patch = {"spec": {"containers": [{"name": "c1", "resources": wanted}]}}
    assert client.raw("PATCH", f"{path}/resize", patch, headers=STRATEGIC).code == 200
    cluster.eventually("told as asked", lambda: settled(client, path, {"c1": wanted}))


@line(RESIZE, "resize via replace endpoint")
def test_a_resize_by_replacing(cluster: Cluster, client: Official, run: Run) -> None:
    path = run(busybox("c1", resources=amounts("10m", "20Mi")))
    shown = client.raw("GET", f"{path}/resize").json
    assert shown["spec"] == client.raw("GET", path).json["spec"]
    shown["spec"]["containers"][0]["resources"] = amounts("20m", "30Mi")
    shown["metadata"].pop("resourceVersion")
    answer = client.raw("PUT", f"{path}/resize", shown)
    assert answer.code == 200, answer.body
    cluster.eventually("it has it", lambda: settled(client, path, {"c1": amounts("20m", "30Mi")}))


def test_a_resize_that_can_not_be(cluster: Cluster, client: Official, run: Run) -> None:
    path = run(busybox("c1", resources=amounts("10m", "20Mi")))

    def resize(resources: dict[str, Any]) -> Any:
        patch = {"spec": {"containers": [{"name": "c1", "resources": resources}]}}
        return client.raw("PATCH", f"{path}/resize", patch, headers=STRATEGIC)

    def pending() -> list[str]:
        conditions = client.raw("GET", path).json["status"]["conditions"]
        return [item["reason"] for item in conditions if item["type"] == "PodResizePending"]

    same = {"requests": {"cpu": "20m", "memory": "40Mi"}}
    assert "Pod QOS Class may not change" in resize(same).json["message"]
    assert (
        "only cpu and memory" in resize({"requests": {"ephemeral-storage": "1Mi"}}).json["message"]
    )
    assert resize({"requests": {"cpu": "999"}, "limits": {"cpu": "999"}}).code == 200
    cluster.eventually("nobody has so many", lambda: pending() == ["Infeasible"])
    assert resize(amounts("10m", "20Mi")).code == 200
    cluster.eventually("nothing is pending", lambda: pending() == [])


def said(cluster: Cluster, path: str, protocol: str) -> list[bytes]:
    """Every message of a WebSocket to the API server."""
    pki = cluster.config / "pki"

    async def ask() -> list[bytes]:
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        url = f"https://127.0.0.1:{cluster.port}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, ssl=context, protocols=(protocol,)) as socket,
        ):
            assert socket.protocol == protocol
            messages = [message.data async for message in socket]
        # Closed TLS connections let go of their sockets a turn of the loop later.
        await asyncio.sleep(0.2)
        return messages

    return asyncio.run(ask())


@line(PODS, "exec over websocket")
def test_exec_through_channels(cluster: Cluster, run: Run) -> None:
    path = run(busybox("main"))
    query = "command=echo&command=remote%20test&stdout=1&stderr=1&container=main"
    assert b"".join(said(cluster, f"{path}/exec?{query}", "channel.k8s.io")) == b"\x01remote test\n"
    versioned = said(cluster, f"{path}/exec?{query}", "v5.channel.k8s.io")
    assert versioned[0] == b"\x01remote test\n"
    assert json.loads(versioned[-1][1:])["status"] == "Success"


@line(PODS, "logs over websocket")
def test_logs_as_messages(cluster: Cluster, client: Official, run: Run) -> None:
    path = run(busybox("main", "sh", "-c", "echo container is alive; sleep 1000"))
    cluster.eventually("it has spoken", lambda: client.raw("GET", f"{path}/log").body)
    told = said(cluster, f"{path}/log?container=main", "binary.k8s.io")
    assert b"".join(told) == b"container is alive\n"
