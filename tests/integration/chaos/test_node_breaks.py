"""What breaks under a pod: containerd, the node, its images, its disk. Pods converge."""

import os
import subprocess
from pathlib import Path

import pytest
from kit.containerd import BUSYBOX, Containerd, pod_of, wait_for
from kit.node import FakeCluster, Workers, workers
from kit.residue import residue, until_nothing_is_left

from pilothouse.ops.images.archive import write
from pilothouse.ops.images.recipes import busybox, busybox_layer
from pilothouse.services.kubelet.adapters.volumes import mounts

MANY = 110
ROUNDS = 500
AT_ONCE = 10
FIVE_MEGABYTES = 5 * 1024 * 1024


def _is_up(node: Workers, uid: str) -> bool:
    return node.status(uid).get("phase") == "Running" and node.is_ready(uid)


def _restarts(node: Workers, uid: str) -> int:
    return node.container(uid).get("restartCount", -1)


async def _all_gone(node: Workers, uids: list[str], seconds: float = 60.0) -> None:
    for uid in uids:
        node.delete(uid, grace=2)
    await wait_for(lambda: set(uids) <= set(node.cluster.removed), seconds)


async def test_containerd_dies_and_comes_back(runtime: Containerd) -> None:
    before = residue(runtime)
    async with workers(runtime) as node:
        node.apply(pod_of("uid-stays", name="stays"))
        await wait_for(lambda: _is_up(node, "uid-stays"))
        id_ = node.container("uid-stays")["containerID"]
        node.apply(pod_of("uid-comes", name="comes"))
        runtime.kill()
        node.apply(pod_of("uid-later", name="later"))
        runtime.start()
        for uid in ("uid-stays", "uid-comes", "uid-later"):
            await wait_for(lambda uid=uid: _is_up(node, uid), 40.0)
            assert _restarts(node, uid) == 0
        assert node.container("uid-stays")["containerID"] == id_
        for uid in ("uid-stays", "uid-comes", "uid-later"):
            node.delete(uid, grace=2)
        runtime.kill()
        runtime.start()
        await wait_for(lambda: len(node.cluster.removed) == 3, 40.0)
        await until_nothing_is_left(runtime, before)


async def test_the_node_loses_power(runtime: Containerd) -> None:
    before, cluster = residue(runtime), FakeCluster()
    async with workers(runtime, cluster) as node:
        for uid in ("uid-again", "uid-goes"):
            node.apply(pod_of(uid, name=uid))
        once = pod_of("uid-once", name="once", restartPolicy="Never")
        once["spec"]["containers"][0]["command"] = ["sh", "-c", "exit 0"]
        node.apply(once)
        await wait_for(lambda: _is_up(node, "uid-again") and _is_up(node, "uid-goes"))
        await wait_for(lambda: node.status("uid-once").get("phase") == "Succeeded")
        ended = node.container("uid-once")["state"]
        bodies = node.bodies
    _reboot(runtime)
    async with workers(runtime, cluster) as node:
        node.bodies.update(bodies)
        for uid in ("uid-again", "uid-once"):
            node.apply(bodies[uid])
        await wait_for(lambda: _restarts(node, "uid-again") == 1 and _is_up(node, "uid-again"), 40)
        last = node.container("uid-again")["lastState"]["terminated"]
        assert last["reason"] in {"Error", "Unknown", "ContainerStatusUnknown"}
        assert node.status("uid-once")["phase"] == "Succeeded"
        assert node.container("uid-once")["state"] == ended
        await _all_gone(node, ["uid-again", "uid-once"])
        await until_nothing_is_left(runtime, before)


def _reboot(runtime: Containerd) -> None:
    """Every process, mount and cgroup is gone, and all below /run; what is on disk stays."""
    runtime.lose_power()
    mounts.unmount_below(runtime.root)
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        top = hierarchy / runtime.cgroup_root.strip("/")
        for path, _, _ in os.walk(top, topdown=False):
            subprocess.run(["rmdir", path], check=False, capture_output=True)
    subprocess.run(["rm", "-rf", str(runtime.root / "state"), str(runtime.root / "runc")],
                   check=True)  # fmt: skip
    links = subprocess.run(["ip", "-n", runtime.netns, "-brief", "link"], check=True,
                           capture_output=True, text=True).stdout  # fmt: skip
    for line in links.splitlines():
        name = line.split()[0].partition("@")[0]
        if name.startswith("veth") or name == "cni0":
            subprocess.run(["ip", "-n", runtime.netns, "link", "delete", name], check=False)
    runtime.start()


async def test_the_image_store_is_emptied(runtime: Containerd) -> None:
    before = residue(runtime)
    async with workers(runtime) as node:
        node.apply(pod_of("uid-had", name="had"))
        await wait_for(lambda: _is_up(node, "uid-had"))
        named = runtime.ctr("images", "list", "-q").stdout.split()
        runtime.ctr("images", "rm", *[one for one in named if "pause" not in one])
        assert _is_up(node, "uid-had"), "what runs needs its image no more"
        lacking = pod_of("uid-lacks", name="lacks")
        lacking["spec"]["containers"][0]["imagePullPolicy"] = "Never"
        node.apply(lacking)
        state = await wait_for(
            lambda: (
                node.container("uid-lacks").get("state", {}).get("waiting", {}).get("message")
                and node.container("uid-lacks")["state"]["waiting"]
            )
        )
        assert state["reason"] == "ErrImageNeverPull"
        archive = runtime.root / "again.tar"
        write(archive, [busybox(busybox_layer())])
        runtime.ctr("images", "import", str(archive))
        assert BUSYBOX in runtime.ctr("images", "list", "-q").stdout
        await wait_for(lambda: _is_up(node, "uid-lacks"), 40.0)
        await _all_gone(node, ["uid-had", "uid-lacks"])
        await until_nothing_is_left(runtime, before)


async def test_the_disk_is_full_for_a_while(runtime: Containerd) -> None:
    """The kubelet's own directory is; whatever it can not write it writes later."""
    before, root = residue(runtime), runtime.root / "kubelet"
    root.mkdir(exist_ok=True)
    mounts.mount_tmpfs(root, FIVE_MEGABYTES)
    try:
        async with workers(runtime) as node:
            with (root / "ballast").open("wb", buffering=0) as ballast:
                while _has_written(ballast):
                    pass
            body = pod_of("uid-full", name="full", volumes=[{"name": "v", "configMap":
                                                             {"name": "map"}}])  # fmt: skip
            mount = {"name": "v", "mountPath": "/v"}
            body["spec"]["containers"][0]["volumeMounts"] = [mount]
            node.cluster.objects["configmap", "map"] = {"key": b"x" * 100_000}
            node.apply(body)
            await wait_for(lambda: "FailedMount" in node.notes.reasons("full"))
            await wait_for(lambda: node.status("uid-full").get("phase") == "Pending")
            (root / "ballast").unlink()
            await wait_for(lambda: _is_up(node, "uid-full"), 60.0)
            await _all_gone(node, ["uid-full"])
    finally:
        subprocess.run(["umount", str(root)], check=True)
    await until_nothing_is_left(runtime, before)


def _has_written(file: object) -> bool:
    try:
        file.write(b"\0" * 4096)
    except OSError:
        return False
    return True


def _own_figures() -> dict[str, int]:
    status = Path("/proc/self/status").read_text().splitlines()
    resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return {"kB": resident, "descriptors": len(list(Path("/proc/self/fd").iterdir()))}


async def _rounds(runtime: Containerd, node: Workers, first: int, count: int) -> None:
    """Start and stop that many pods, some at a time."""
    for start in range(first, first + count, AT_ONCE):
        uids = [f"uid-{number}" for number in range(start, min(start + AT_ONCE, first + count))]
        for uid in uids:
            node.apply(pod_of(uid, name=uid))
        await wait_for(lambda uids=uids: all(_is_up(node, uid) for uid in uids), 120.0)
        await _all_gone(node, uids, 120.0)
        for uid in uids:
            del node.bodies[uid]
            node.cluster.statuses.pop(uid)
        node.cluster.history.clear()
        node.notes.notes.clear()
        node.cluster.removed.clear()


@pytest.mark.long
async def test_five_hundred_starts_and_stops_leave_nothing(runtime: Containerd) -> None:
    before = residue(runtime)
    async with workers(runtime) as node:
        await _rounds(runtime, node, 0, 5 * AT_ONCE)
        await until_nothing_is_left(runtime, before)
        warm = _own_figures()
        await _rounds(runtime, node, 5 * AT_ONCE, ROUNDS)
        await until_nothing_is_left(runtime, before)
        after = _own_figures()
        assert after["descriptors"] <= warm["descriptors"] + 2
        assert after["kB"] <= warm["kB"] + 4096, (warm, after)
        await wait_for(lambda: not node.pods.workers())


@pytest.mark.long
async def test_a_hundred_and_ten_pods_on_one_node(runtime: Containerd) -> None:
    before = residue(runtime)
    uids = [f"uid-many-{number}" for number in range(MANY)]
    async with workers(runtime) as node:
        for uid in uids:
            node.apply(pod_of(uid, name=uid))
        await wait_for(lambda: all(_is_up(node, uid) for uid in uids), 180.0)
        assert len({node.status(uid)["podIP"] for uid in uids}) == MANY
        assert all(_restarts(node, uid) == 0 for uid in uids)
        await _all_gone(node, uids, 180.0)
        await until_nothing_is_left(runtime, before)
