"""A kubelet that dies at any call of a pod's start and stop: the next one goes on from there."""

import asyncio
from pathlib import Path

import pytest
from kit.containerd import Containerd, dump, pod_of, wait_for
from kit.doom import Doom, Moment
from kit.node import FakeCluster, Workers, workers
from kit.residue import residue, until_nothing_is_left

SEPARATE_LIVES = 400
LINES_OF_LOG = "runs"


def _pod(uid: str, shared: Path) -> dict:
    """An init container, a sidecar, two containers; each run of any leaves a line."""
    body = pod_of(uid, name=uid, terminationGracePeriodSeconds=3)
    volume = {"name": "shared", "hostPath": {"path": str(shared)}}
    mount = {"name": "shared", "mountPath": "/shared"}

    def container(name: str, then: str, **more: object) -> dict:
        script = f"echo $$ >>/shared/{name}; {then}"
        return {
            "name": name, "image": "busybox", "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", script], "volumeMounts": [mount], **more,
        }  # fmt: skip

    stay = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
    body["spec"]["volumes"] = [volume, {"name": "own", "emptyDir": {"medium": "Memory"}}]
    body["spec"]["initContainers"] = [
        container("init", "exit 0"),
        container("sidecar", stay, restartPolicy="Always"),
    ]
    body["spec"]["containers"] = [container("one", stay), container("two", stay)]
    body["spec"]["containers"][1]["volumeMounts"].append({"name": "own", "mountPath": "/own"})
    return body


def _runs(shared: Path) -> dict[str, int]:
    return {path.name: len(path.read_text().splitlines()) for path in shared.iterdir()}


def _tasks(runtime: Containerd, uid: str) -> list[str]:
    """Ids of what runs of this pod."""
    ours = runtime.ctr("containers", "list", "-q", f'labels."io.kubernetes.pod.uid"=={uid}')
    running = runtime.ctr("tasks", "list").stdout.splitlines()
    mine = set(ours.stdout.split())
    return [line for line in running if line.split()[0] in mine and "RUNNING" in line]


def _is_up(node: Workers, uid: str) -> bool:
    return node.status(uid).get("phase") == "Running" and node.is_ready(uid)


async def _live(node: Workers, body: dict, doom: Doom, *, leave: bool) -> None:
    """Until up, and when ``leave`` until gone; or until death."""
    uid = body["metadata"]["uid"]
    node.apply(body)
    goal = (lambda: uid in node.cluster.removed) if leave else (lambda: _is_up(node, uid))
    is_leaving = False
    for _ in range(SEPARATE_LIVES):
        if doom.died.is_set() or goal():
            return
        if leave and not is_leaving and _is_up(node, uid):
            is_leaving = True
            node.delete(uid, grace=3)
        await asyncio.sleep(0.05)
    raise AssertionError(f"neither dead nor done: {doom.calls} {node.status(uid)}")


async def _survived(runtime: Containerd, tmp: Path, doom: Doom, uid: str) -> bool:
    """A life with this doom and a life after it; whether it struck."""
    shared = tmp / uid
    shared.mkdir()
    before, cluster = residue(runtime), FakeCluster()
    body = _pod(uid, shared)
    async with workers(runtime, cluster, doom) as node:
        await _live(node, body, doom, leave=True)
        body = node.bodies[uid]
    is_leaving = "deletionTimestamp" in body["metadata"]
    async with workers(runtime, cluster) as node:
        node.bodies[uid] = body
        node.apply(body)
        if not is_leaving:
            await wait_for(lambda: _is_up(node, uid))
            await wait_for(lambda: len(_runs(shared)) == 4)
            runs = _runs(shared)
            assert set(runs) == {"init", "sidecar", "one", "two"}, runs
            for name in runs:
                assert node.container(uid, name)["restartCount"] == 0, dump(
                    [doom.calls, cluster.history, node.container(uid, name)]
                )
            assert sum(runs.values()) <= 4 + doom.broke_off_a_start, (doom.calls, runs)
            assert len(_tasks(runtime, uid)) == 4, "the sandbox's, and one of each that stays"
            node.delete(uid, grace=3)
        await wait_for(lambda: uid in cluster.removed)
        await until_nothing_is_left(runtime, before)
    return doom.died.is_set()


async def _calls(runtime: Containerd, tmp: Path) -> list[str]:
    """Those of a whole life."""
    doom, shared = Doom(0, "before"), tmp / "uid-all"
    shared.mkdir()
    async with workers(runtime, FakeCluster(), doom) as node:
        await _live(node, _pod("uid-all", shared), doom, leave=True)
    return doom.calls


@pytest.mark.parametrize("method", ["RunPodSandbox", "StartContainer", "StopContainer"])
@pytest.mark.parametrize("moment", ["during", "after"])
async def test_dies_in_the_middle_of_a_change(
    runtime: Containerd, tmp_path: Path, method: str, moment: Moment
) -> None:
    uid = f"uid-{moment}-{method}".lower()
    assert await _survived(runtime, tmp_path, Doom(1, moment, method), uid)


@pytest.mark.long
@pytest.mark.parametrize("moment", ["before", "during", "after"])
async def test_dies_at_every_call(runtime: Containerd, tmp_path: Path, moment: Moment) -> None:
    calls = await _calls(runtime, tmp_path)
    for number in range(1, len(calls) + 1):
        await _survived(runtime, tmp_path, Doom(number, moment), f"uid-{moment}-{number}")
