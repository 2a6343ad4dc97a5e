"""The machine loses power: every process at once, and what lived in memory with them."""

import os
import re
import signal
import subprocess
from pathlib import Path

from kit.cluster import NODES, Cluster


def ours(cluster: Cluster) -> set[int]:
    """Every process of the cluster: ours, containerd, shims and the pods' own."""
    found = set(cluster.processes().values())
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if re.match(
                rb"\S*containerd", arguments
            ) and f"pilothouse-{cluster.name}/".encode() in (arguments):
                found.add(int(entry.name))
    for listing in Path("/sys/fs/cgroup").glob(f"*/pilothouse-{cluster.name}/**/cgroup.procs"):
        found |= set(map(int, listing.read_text().split()))
    return found


def lose_power(cluster: Cluster) -> None:
    for _ in range(10):
        processes = ours(cluster)
        if not processes:
            return
        for pid in processes:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        subprocess.run(["sleep", "0.1"], check=True)


def forget_memory(cluster: Cluster) -> None:
    """What a reboot forgets: mounts, namespaces and everything in /run."""
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        point = line.split()[4]
        if f"pilothouse-{cluster.name}" in point:
            subprocess.run(["umount", "-l", point], check=True)
    for path in Path("/run/netns").glob(f"pilothouse-{cluster.name}*"):
        path.unlink()
    subprocess.run(["rm", "-rf", cluster.run_directory], check=True)


def is_back(cluster: Cluster) -> bool:
    return cluster.deployment_is("ngx-deployment", 2)


def test_up_after_power_loss_brings_objects_and_pods_back(example: Cluster) -> None:
    example.create_configmap("kept", a="b")
    uids = {pod["metadata"]["uid"] for pod in example.pods("app=nginx")}
    address = example.get("service", "ngx-service")["spec"]["clusterIP"]
    lose_power(example)
    assert ours(example) == set()
    forget_memory(example)
    example.up()
    assert example.get("configmap", "kept")["data"] == {"a": "b"}
    assert len(example.get("nodes")["items"]) == NODES

    def all_answer() -> bool:
        # The pods' status is of before the loss until their kubelets have looked.
        if not is_back(example):
            return False
        done = example.on_node(
            1, "sh", "-c", f"for i in $(seq 20); do curl -sf -m 2 {address}; done"
        )
        return done.stdout.count("Welcome to nginx") == 20

    example.eventually("the same pods serve again", all_answer, seconds=90)
    assert {pod["metadata"]["uid"] for pod in example.pods("app=nginx")} == uids
    example.kubectl("delete", "configmap", "kept")


def test_up_when_only_the_supervisor_died_keeps_the_containers(example: Cluster) -> None:
    example.eventually("2/2", lambda: is_back(example))
    before = {
        status["containerID"]
        for pod in example.pods("app=nginx")
        for status in pod["status"]["containerStatuses"]
    }
    example.kill("supervisor")
    example.up()
    example.eventually("2/2", lambda: is_back(example))
    after = {
        status["containerID"]
        for pod in example.pods("app=nginx")
        for status in pod["status"]["containerStatuses"]
    }
    assert after == before


def test_up_twice_changes_nothing(example: Cluster) -> None:
    before = example.processes()
    example.up()
    assert example.processes() == before


def test_down_may_keep_the_state(example: Cluster) -> None:
    uids = {pod["metadata"]["uid"] for pod in example.pods("app=nginx")}
    example.down("--keep-state")
    assert ours(example) == set()
    assert not example.run_directory.exists()
    example.up()
    example.eventually("2/2", lambda: is_back(example), seconds=90)
    assert {pod["metadata"]["uid"] for pod in example.pods("app=nginx")} == uids
