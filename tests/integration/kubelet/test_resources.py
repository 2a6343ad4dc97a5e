"""What pods may use, on a real node: cgroups, memory and fork bombs, limits of storage."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.containerd import pod_of
from kit.whole_node import WholeNode

from pilothouse.services.kubelet.resources import cpusets

MI = 1 << 20
CGROUPS = Path("/sys/fs/cgroup")


def _pod(name: str, script: str = "", resources: dict | None = None, **spec: object) -> dict:
    body = pod_of("", name=name, **spec)
    body["metadata"] = {"name": name, "namespace": "default"}
    container = body["spec"]["containers"][0]
    if script:
        container["command"] = ["sh", "-c", script]
    container["resources"] = resources or {}
    return body


def _limit(node: WholeNode, uid: str, level: str, v1: str, v2: str) -> str:
    root = node.containerd.cgroup_root.strip("/")
    unified = CGROUPS / root / level / f"pod{uid}" / v2
    controller = v1.partition(".")[0]
    found = unified if unified.exists() else CGROUPS / controller / root / level / f"pod{uid}" / v1
    return found.read_text().strip()


def _ended(node: WholeNode, name: str) -> dict:
    status = node.get("pod", name).get("status", {})
    entry = (status.get("containerStatuses") or [{}])[0]
    states = (entry.get("state", {}), entry.get("lastState", {}))
    return next((state["terminated"] for state in states if "terminated" in state), {})


def test_the_node_keeps_something_from_pods(node: WholeNode) -> None:
    status = node.get("node", "node-1")["status"]
    capacity, rest = status["capacity"], status["allocatable"]
    assert int(capacity["memory"][:-2]) - int(rest["memory"][:-2]) == 100 * 1024
    assert rest["hugepages-2Mi"] == "0"
    pressures = {item["type"]: item["status"] for item in status["conditions"]}
    assert pressures["MemoryPressure"] == pressures["DiskPressure"] == "False"
    told = node.wait(lambda: node.get("node", "node-1")["status"].get("images"), 60)
    assert any("busybox" in name for image in told for name in image["names"])


def test_a_memory_bomb_is_ended_and_the_node_lives(node: WholeNode) -> None:
    both = {"memory": "24Mi", "cpu": "100m"}
    script = "sleep 1; tail /dev/zero"
    node.create(_pod("bomb", script, {"limits": both}, restartPolicy="Never"))
    ended = node.wait(lambda: _ended(node, "bomb"), 60)
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
    found = node.get("pod", "bomb")
    assert found["status"]["qosClass"] == "Guaranteed"
    uid = found["metadata"]["uid"]
    assert _limit(node, uid, "", "memory.limit_in_bytes", "memory.max") == str(24 * MI)
    node.kubectl("delete", "pod", "bomb", "--now")
    node.wait(lambda: not (CGROUPS / "memory" / node.containerd.cgroup_root.strip("/")
                           / f"pod{uid}").exists())  # fmt: skip


def test_a_fork_bomb_meets_its_limit(node: WholeNode) -> None:
    script = "for i in $(seq 200); do sleep 60 & done; echo done; sleep 60"
    node.create(_pod("forks", script, restartPolicy="Never"))
    found = node.wait(lambda: "fork" in node.kubectl("logs", "forks", check=False).stdout, 60)
    assert found
    uid = node.get("pod", "forks")["metadata"]["uid"]
    assert _limit(node, uid, "besteffort", "pids.max", "pids.max") == "100"
    node.kubectl("delete", "pod", "forks", "--now")


def test_an_empty_dir_above_its_limit_evicts_its_pod(node: WholeNode) -> None:
    mounted = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    body = _pod(
        "hoard",
        "head -c 3000000 /dev/zero > /v/f; sleep 600",
        volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}],
    )
    body["spec"]["containers"][0] |= mounted
    node.create(body)
    node.wait(lambda: node.get("pod", "hoard").get("status", {}).get("phase") == "Failed", 60)
    status = node.get("pod", "hoard")["status"]
    assert status["reason"] == "Evicted"
    assert status["message"] == 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '
    ended = _ended(node, "hoard")
    assert ended["exitCode"]
    events = node.kubectl("get", "events", "-o", "name", "--field-selector=reason=Evicted").stdout
    assert events
    node.kubectl("delete", "pod", "hoard", "--now")


def test_a_resize_does_not_take_memory_that_is_in_use(node: WholeNode) -> None:
    both = {"memory": "64Mi", "cpu": "100m"}
    body = _pod(
        "shrinking",
        "head -c 24000000 /dev/zero > /m/f; touch /tmp/full; sleep 600",
        {"limits": both},
        volumes=[{"name": "m", "emptyDir": {"medium": "Memory"}}],
    )
    container = body["spec"]["containers"][0]
    container["volumeMounts"] = [{"name": "m", "mountPath": "/m"}]
    container["readinessProbe"] = {"exec": {"command": ["cat", "/tmp/full"]}, "periodSeconds": 1}
    node.create(body)
    node.wait(lambda: node.is_ready("shrinking"), 60)
    small = {"limits": {"memory": "10Mi"}, "requests": {"memory": "10Mi"}}
    patch = json.dumps({"spec": {"containers": [{"name": "main", "resources": small}]}})
    node.kubectl("patch", "pod", "shrinking", "--subresource=resize", "-p", patch)

    def resize() -> dict:
        found = node.get("pod", "shrinking")["status"]["conditions"]
        return next((item for item in found if item["type"] == "PodResizeInProgress"), {})

    node.wait(lambda: "below current usage" in resize().get("message", ""), 60)
    assert resize()["reason"] == "Error"
    node.kubectl("exec", "shrinking", "--", "rm", "/m/f")
    node.wait(lambda: not resize(), 60)
    status = node.get("pod", "shrinking")["status"]["containerStatuses"][0]
    assert status["resources"]["limits"]["memory"] == "10Mi"
    assert status["restartCount"] == 0
    node.kubectl("delete", "pod", "shrinking", "--now")


@contextlib.contextmanager
def _kubelet_with(node: WholeNode, *flags: str) -> Iterator[None]:
    """The kubelet with other flags for a while; pods run on."""
    node.kill("kubelet")
    node.start_kubelet(*flags)
    try:
        yield
    finally:
        node.kill("kubelet")
        node.start_kubelet()


def _pressure(node: WholeNode) -> str:
    conditions = node.get("node", "node-1")["status"]["conditions"]
    return next(item["status"] for item in conditions if item["type"] == "DiskPressure")


def test_nobody_is_let_in_while_the_disk_is_short(node: WholeNode) -> None:
    soft = (
        "--eviction-soft=nodefs.available<100%",
        "--eviction-soft-grace-period=nodefs.available=10m",
    )
    with _kubelet_with(node, *soft):
        node.wait(lambda: _pressure(node) == "True", 60)
        chosen = "--field-selector=reason=NodeHasDiskPressure"
        node.wait(lambda: "status is now" in node.kubectl("get", "events", chosen).stdout)
        node.create(_pod("late", tolerations=[{"operator": "Exists"}]))
        status = node.wait(lambda: node.get("pod", "late")["status"].get("reason"), 60)
        assert status == "Evicted"
        late = node.get("pod", "late")["status"]
        assert late["phase"] == "Failed"
        text = "Pod was rejected: The node had condition: [DiskPressure]. "
        assert late["message"] == text
        node.kubectl("delete", "pod", "late", "--now")
    node.wait(lambda: _pressure(node) == "False", 60)


def _cpus(node: WholeNode, name: str) -> str:
    command = ("exec", name, "--", "grep", "Cpus_allowed_list", "/proc/self/status")
    return node.kubectl(*command, check=False).stdout.partition(":")[2].strip()


def test_a_whole_cpu_of_ones_own(node: WholeNode) -> None:
    online = cpusets.parse(Path("/sys/devices/system/cpu/online").read_text())
    if len(online) < 2:
        pytest.skip("one CPU can not be shared out")
    first = min(online)
    others = cpusets.render(online)
    flags = (
        "--cpu-manager-policy=static", f"--reserved-cpus={first}",
        "--cpu-manager-reconcile-period=1s",
    )  # fmt: skip
    node.create(_pod("sharing"))
    node.wait(lambda: node.is_ready("sharing"), 60)
    with _kubelet_with(node, *flags):
        node.create(_pod("owner", resources={"limits": {"cpu": "1", "memory": "32Mi"}}))
        node.wait(lambda: node.is_ready("owner"), 60)
        own = cpusets.parse(_cpus(node, "owner"))
        assert len(own) == 1
        assert first not in own
        rest = cpusets.render(online - own)
        node.wait(lambda: _cpus(node, "sharing") == rest, 60)
        node.kubectl("delete", "pod", "owner", "--now")
        node.wait(lambda: _cpus(node, "sharing") == others, 60)
    node.kubectl("delete", "pod", "sharing", "--now")


def test_a_pod_goes_when_the_disk_is_short(node: WholeNode) -> None:
    node.create(_pod("victim"))
    node.wait(lambda: node.is_ready("victim"), 60)
    with _kubelet_with(node, "--eviction-hard=nodefs.available<99.9%"):
        node.wait(lambda: node.get("pod", "victim")["status"]["phase"] == "Failed", 60)
        status = node.get("pod", "victim")["status"]
        assert status["reason"] == "Evicted"
        begins = "The node was low on resource: ephemeral-storage. Threshold quantity: "
        assert status["message"].startswith(begins)
        conditions = {item["type"]: item for item in status["conditions"]}
        assert conditions["DisruptionTarget"]["reason"] == "TerminationByKubelet"
        assert _ended(node, "victim")["finishedAt"]
        told = node.kubectl("get", "events", "--field-selector=reason=EvictionThresholdMet").stdout
        assert "Attempting to reclaim ephemeral-storage" in told
    node.kubectl("delete", "pod", "victim", "--now")
