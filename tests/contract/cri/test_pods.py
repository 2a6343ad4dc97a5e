"""Pods on a real containerd: what the kubelet makes of them and what it tells."""

import json
import time
from pathlib import Path

from kit.containerd import Containerd, in_netns, pod_of, wait_for
from kit.node import FakeCluster, Workers, inside, view, workers

from pilothouse.services.kubelet.adapters.logs import rotation
from pilothouse.services.runtime.clock import SystemClock

EXITS = ["sh", "-c", "echo bye >/dev/termination-log; exit 3"]


async def _running(node: Workers, uid: str) -> None:
    await wait_for(lambda: node.status(uid).get("phase") == "Running" and node.is_ready(uid))


async def _gone(node: Workers, uid: str) -> None:
    node.delete(uid)
    await wait_for(lambda: uid in node.cluster.removed)


async def test_runs_answers_and_leaves_nothing(runtime: Containerd) -> None:
    async with workers(runtime) as node:
        node.apply(pod_of("uid-run"))
        await _running(node, "uid-run")
        status = node.status("uid-run")
        assert "1 packets received" in in_netns(
            runtime.netns, "busybox", "ping", "-c1", status["podIP"]
        )
        assert status["podIPs"] == [{"ip": status["podIP"]}]
        assert status["qosClass"] == "BestEffort"
        assert node.container("uid-run")["restartCount"] == 0
        assert node.notes.reasons("web") == ["Pulled", "Created", "Started"]
        await _gone(node, "uid-run")
        refs = await node.cri.survey()
        assert "uid-run" not in {ref.uid for ref in refs}
        assert "uid-run" not in node.cgroups.pods()
        assert "uid-run" not in node.volumes.pods()
        assert not list((runtime.root / "logs").glob("*uid-run"))
        assert node.notes.reasons("web")[-1] == "Killing"
        leased = list((runtime.root / "cni" / "cache" / "networks").rglob("10.*"))
        assert not leased, "the address was given back"


async def test_a_killed_process_comes_back_and_then_waits(runtime: Containerd) -> None:
    async with workers(runtime) as node:
        node.apply(pod_of("uid-kill"))
        await _running(node, "uid-kill")
        for count in (1, 2):
            found = node.container("uid-kill")["containerID"].removeprefix("containerd://")
            runtime.ctr("tasks", "kill", "-s", "SIGKILL", found)
            if count == 1:
                await wait_for(lambda: node.container("uid-kill").get("restartCount") == 1)
                await _running(node, "uid-kill")
        state = await wait_for(lambda: node.container("uid-kill")["state"].get("waiting"))
        assert state["reason"] == "CrashLoopBackOff"
        assert state["message"].startswith("back-off 10s restarting failed container=main")
        last = node.container("uid-kill")["lastState"]["terminated"]
        assert (last["exitCode"], last["reason"]) == (137, "Error")
        assert node.status("uid-kill")["phase"] == "Running"
        assert not node.is_ready("uid-kill")
        await _gone(node, "uid-kill")


async def test_init_containers_run_in_order_and_never_means_never(runtime: Containerd) -> None:
    body = pod_of("uid-init", restartPolicy="Never", volumes=[{"name": "v", "emptyDir": {}}])
    mount = [{"name": "v", "mountPath": "/v"}]
    shell = {"image": "busybox", "imagePullPolicy": "IfNotPresent", "volumeMounts": mount}
    body["spec"]["initContainers"] = [
        {"name": "one", "command": ["sh", "-c", "echo 1 >>/v/log"], **shell},
        {"name": "two", "command": ["sh", "-c", "echo 2 >>/v/log"], **shell},
    ]
    body["spec"]["containers"] = [
        {"name": "main", "command": ["sh", "-c", "cat /v/log >/dev/termination-log; exit 4"],
         **shell}
    ]  # fmt: skip
    async with workers(runtime) as node:
        node.apply(body)
        await wait_for(lambda: node.status("uid-init").get("phase") == "Failed")
        ended = node.container("uid-init")["state"]["terminated"]
        assert (ended["exitCode"], ended["message"]) == (4, "1\n2\n")
        assert node.container("uid-init", "two")["state"]["terminated"]["reason"] == "Completed"
        await _gone(node, "uid-init")


async def test_a_new_kubelet_finds_what_the_old_one_started(runtime: Containerd) -> None:
    cluster = FakeCluster()
    async with workers(runtime, cluster) as node:
        node.apply(pod_of("uid-keep"))
        node.apply(pod_of("uid-drop", name="dropped"))
        await _running(node, "uid-keep")
        await _running(node, "uid-drop")
        before = node.container("uid-keep")["containerID"]
        body = node.bodies["uid-keep"]
    written = len(cluster.history)
    async with workers(runtime, cluster) as node:
        node.apply(body)
        await wait_for(lambda: node.pods.workers()[0].observed.containers)
        assert node.pods.workers()[0].observed.containers[0].id in before
        gone = {"uid-drop"}
        while gone & {ref.uid for ref in await node.cri.survey()}:
            time.sleep(0.05)
            await wait_for(lambda: True)
        assert node.container("uid-keep")["containerID"] == before
        assert cluster.history[written:] == [], "nothing new to tell"
        assert "uid-drop" not in cluster.removed, "an orphan has no object"
        await _gone(node, "uid-keep")


async def test_what_runs_behind_the_runtimes_back_keeps_no_pod(runtime: Containerd) -> None:
    script = "[ -s /dev/termination-log ] && exec sleep 1000; echo once >/dev/termination-log"
    body = pod_of("uid-back", name="back", restartPolicy="Never")
    once = body["spec"]["containers"][0] | {"name": "once", "command": ["sh", "-c", script]}
    body["spec"]["containers"].append(once)
    async with workers(runtime) as node:
        node.apply(body)
        await wait_for(lambda: "terminated" in node.container("uid-back", "once").get("state", {}))
        ended = node.container("uid-back", "once")["containerID"].removeprefix("containerd://")
        runtime.ctr("tasks", "start", "--detach", ended)
        await _gone(node, "uid-back")
        assert "uid-back" not in {ref.uid for ref in await node.cri.survey()}
        assert ended not in runtime.ctr("tasks", "list", "-q").stdout


async def test_volumes_environment_and_user(runtime: Containerd) -> None:
    script = (
        "cat /cfg/key /tok/token /tok/ns /hosts; echo $FROM_MAP $FROM_FIELD $(id -u); "
        "cat /etc/hosts; exec sleep 1000"
    )
    body = pod_of("uid-vol", name="volumes")
    body["spec"]["volumes"] = [
        {"name": "cfg", "configMap": {"name": "settings"}},
        {
            "name": "tok",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                    {"downwardAPI": {"items": [
                        {"path": "ns", "fieldRef": {"fieldPath": "metadata.namespace"}}
                    ]}},
                ]
            },
        },
    ]  # fmt: skip
    body["spec"]["hostAliases"] = [{"ip": "10.1.2.3", "hostnames": ["alias.local"]}]
    body["spec"]["securityContext"] = {"runAsUser": 1234}
    body["spec"]["containers"][0] |= {
        "command": ["sh", "-c"],
        "args": [script + " # $(GREETING)"],
        "env": [
            {"name": "GREETING", "value": "hi"},
            {"name": "FROM_MAP", "valueFrom": {
                "configMapKeyRef": {"name": "settings", "key": "key"}}},
            {"name": "FROM_FIELD", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
        "volumeMounts": [
            {"name": "cfg", "mountPath": "/cfg"},
            {"name": "tok", "mountPath": "/tok"},
            {"name": "cfg", "mountPath": "/hosts", "subPath": "key"},
        ],
    }  # fmt: skip
    async with workers(runtime) as node:
        node.apply(body)
        await wait_for(lambda: node.container("uid-vol").get("state"))
        assert "running" not in node.container("uid-vol")["state"]
        node.cluster.objects["configmap", "settings"] = {"key": b"forty-two"}
        await _running(node, "uid-vol")
        ip = node.status("uid-vol")["podIP"]
        log = Path(node.pods.workers()[0].observed.containers[0].log_path)
        text = await wait_for(lambda: log.read_text() if "alias" in log.read_text() else "")
        assert "forty-twotoken-of-volumesdefaultforty-two" in text
        assert f"forty-two {ip} 1234" in text
        assert f"{ip}\tvolumes" in text
        assert "10.1.2.3\talias.local" in text
        await _gone(node, "uid-vol")


async def test_probes_hold_back_and_restart(runtime: Containerd) -> None:
    probe = {"exec": {"command": ["cat", "/tmp/ok"]}, "periodSeconds": 1, "failureThreshold": 1}
    body = pod_of("uid-probe", name="probed")
    body["spec"]["containers"][0] |= {
        "readinessProbe": probe,
        "livenessProbe": probe | {"exec": {"command": ["sh", "-c", "! test -e /tmp/dead"]}},
    }

    async def test() -> None:
        async with workers(runtime) as node:
            node.apply(body)
            await wait_for(lambda: "Unhealthy" in node.notes.reasons("probed"))
            assert not node.is_ready("uid-probe")
            found = node.container("uid-probe")["containerID"].removeprefix("containerd://")
            await node.streams.run(found, ["touch", "/tmp/ok"], 5)
            await wait_for(lambda: node.is_ready("uid-probe"))
            await node.streams.run(found, ["touch", "/tmp/dead"], 5)
            await wait_for(lambda: node.container("uid-probe")["restartCount"] == 1)
            killing = [text for _, reason, text in node.notes.notes if reason == "Killing"]
            assert killing == ["Container main failed liveness probe, will be restarted"]
            node.delete("uid-probe", grace=2)
            await wait_for(lambda: "uid-probe" in node.cluster.removed)

    await inside(runtime, test)


async def test_power_loss_makes_everything_anew(runtime: Containerd) -> None:
    cluster = FakeCluster()
    async with workers(runtime, cluster) as node:
        node.apply(pod_of("uid-power", name="power"))
        await _running(node, "uid-power")
        body = json.loads(json.dumps(node.bodies["uid-power"]))
    runtime.lose_power()
    runtime.start()
    async with workers(runtime, cluster) as node:
        node.apply(body)
        await wait_for(lambda: node.container("uid-power").get("restartCount") == 1)
        await _running(node, "uid-power")
        assert "SandboxChanged" in node.notes.reasons("power")
        found = node.pods.workers()[0].observed
        await wait_for(lambda: len(node.pods.workers()[0].observed.sandboxes) == 1)
        assert found.sandbox.attempt == 1
        await _gone(node, "uid-power")
    assert not list((runtime.root / "cni" / "cache" / "networks").rglob("10.*"))


async def test_hooks_sidecars_and_the_order_of_the_end(runtime: Containerd) -> None:
    log = runtime.root / "order"
    log.mkdir()

    def stops(word: str) -> list[str]:
        script = f"trap 'echo {word} >>/log/order; exit 0' TERM; while :; do sleep 0.1; done"
        return ["sh", "-c", script]

    def says(word: str) -> dict:
        return {"exec": {"command": ["sh", "-c", f"echo {word} >>/log/order"]}}

    mounts = [{"name": "log", "mountPath": "/log"}, {"name": "mem", "mountPath": "/mem"}]
    shell = {"image": "busybox", "imagePullPolicy": "IfNotPresent", "volumeMounts": mounts}
    body = pod_of(
        "uid-hook",
        name="hooked",
        volumes=[
            {"name": "log", "hostPath": {"path": str(log), "type": "Directory"}},
            {"name": "mem", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        ],
        initContainers=[
            {"name": "side", "restartPolicy": "Always", "command": stops("side"), **shell}
        ],
    )
    hooks = {"postStart": says("started"), "preStop": says("stopping")}
    body["spec"]["containers"] = [
        {"name": "main", "command": stops("main"), "lifecycle": hooks, **shell}
    ]
    async with workers(runtime) as node:
        node.apply(body)
        await _running(node, "uid-hook")
        mounted = Path("/proc/self/mountinfo").read_text()
        assert "uid-hook/volumes/kubernetes.io~empty-dir/mem" in mounted
        await _gone(node, "uid-hook")
    assert (log / "order").read_text().split() == ["started", "stopping", "main", "side"]
    assert "uid-hook" not in Path("/proc/self/mountinfo").read_text()


async def test_who_does_not_listen_is_killed_after_the_grace(runtime: Containerd) -> None:
    body = pod_of("uid-deaf", name="deaf")
    body["spec"]["containers"][0]["command"] = ["sleep", "100000"]
    async with workers(runtime) as node:
        node.apply(body)
        await _running(node, "uid-deaf")
        node.delete("uid-deaf", grace=1)
        await wait_for(lambda: "uid-deaf" in node.cluster.removed)
        ended = node.container("uid-deaf")["state"]["terminated"]
        assert ended["exitCode"] == 137
        assert node.status("uid-deaf")["phase"] == "Failed"


async def test_who_takes_a_forced_pods_name_is_the_one_that_is_asked(runtime: Containerd) -> None:
    """``kubectl delete --force``: the object is gone while its container still ends."""
    body = pod_of("uid-forced")
    body["spec"]["containers"][0]["command"] = ["sleep", "100000"]
    async with workers(runtime) as node:
        node.apply(body)
        await _running(node, "uid-forced")
        old = view(node.bodies["uid-forced"])
        node.apply(pod_of("uid-after"))
        node.pods.change(old, None)
        found = node.pods.find(old.metadata.key)
        assert found is not None
        assert found.pod.uid == "uid-after"
        await _gone(node, "uid-after")


async def test_requests_become_shares(runtime: Containerd) -> None:
    body = pod_of("uid-share", name="share")
    body["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "500m"}}
    async with workers(runtime) as node:
        node.apply(body)
        await _running(node, "uid-share")
        (cpu,) = {path.resolve() for path in Path("/sys/fs/cgroup").glob("cpu*/cpu.shares")}
        level = cpu.parent / runtime.cgroup_root.strip("/") / "burstable"
        assert (level / "cpu.shares").read_text() == "512\n"
        shares = [int(path.read_text()) for path in level.rglob("cpu.shares")]
        assert shares.count(512) >= 3, "of the level, the pod and its container"
        await _gone(node, "uid-share")
        assert (level / "cpu.shares").read_text() == "2\n"


async def test_a_killed_runtime_stops_no_container(runtime: Containerd) -> None:
    async with workers(runtime) as node:
        node.apply(pod_of("uid-crash", name="crash"))
        await _running(node, "uid-crash")
        before = node.container("uid-crash")
        runtime.kill()
        runtime.start()
        found = before["containerID"].removeprefix("containerd://")
        await node.streams.run(found, ["true"], 5)
        runtime.ctr("tasks", "kill", "-s", "SIGKILL", found)
        await wait_for(lambda: node.container("uid-crash")["restartCount"] == 1)
        node.delete("uid-crash")
        await wait_for(lambda: "uid-crash" in node.cluster.removed)
        assert node.status("uid-crash")["phase"] == "Succeeded"


async def test_full_logs_are_moved_away(runtime: Containerd) -> None:
    body = pod_of("uid-log", name="loud")
    noise = "dd if=/dev/zero bs=1k count=11000 2>/dev/null | tr '\\0' a | fold -w 100"
    script = f"{noise}; sleep 9999"
    body["spec"]["containers"][0]["command"] = ["sh", "-c", script]
    async with workers(runtime) as node:
        node.apply(body)
        await _running(node, "uid-log")
        found = node.pods.workers()[0].observed.containers
        path = Path(found[0].log_path)
        await wait_for(lambda: path.stat().st_size > rotation.BYTES_MAX)
        for n in range(6):
            path.with_name(f"0.log.2020-01-0{n}").write_text("old")
        await rotation.Rotation(node.pods, node.streams, SystemClock()).rotate(found)
        await wait_for(path.exists)
        assert path.stat().st_size < rotation.BYTES_MAX
        kept = sorted(item.name for item in path.parent.glob("0.log*"))
        assert len(kept) == rotation.FILES_MAX
        assert kept[:2] == ["0.log", "0.log.2020-01-03"]
        await _gone(node, "uid-log")


async def test_an_image_that_is_nowhere(runtime: Containerd) -> None:
    body = pod_of("uid-image", name="imageless")
    body["spec"]["containers"][0] |= {"image": "127.0.0.1:1/nothing:1"}
    async with workers(runtime) as node:
        node.apply(body)
        state = await wait_for(lambda: (node.container("uid-image").get("state") or {}).get(
            "waiting", {}).get("reason") == "ErrImagePull")  # fmt: skip
        assert state
        assert node.notes.reasons("imageless")[:2] == ["Pulling", "Failed"]
        assert node.status("uid-image")["phase"] == "Pending"
        await _gone(node, "uid-image")
