"""Back to the machine as it was: the ledger backwards, tolerant of what is gone."""

import contextlib
import errno
import json
import os
import shutil
from pathlib import Path

from pilothouse.ops.local import fabric, kernel, processes
from pilothouse.ops.local.cluster import Cluster
from pilothouse.ops.local.ledger import Change, Ledger

CGROUP_ROUNDS = 20
BUSY_ROUNDS = 50
LOOKS_MAX, QUIET_LOOKS, LOOK_SECONDS = 50, 3, 0.02
CNI_RESULTS = Path("/var/lib/cni/results")


def take_down(cluster: Cluster, *, keep_state: bool) -> list[Change]:
    """Undo every change of the cluster; what was undone, newest first.

    With ``keep_state`` the state and configuration directories stay, ledger included, and the next
    ``up`` brings the same cluster back.
    """
    kept = {str(cluster.state), str(cluster.config)} if keep_state else set()
    undone = []
    for change in Ledger(cluster.state / "ledger.jsonl").backwards():
        if change.kind == "directory" and change.name in kept:
            _unmount_below(change.name)
            continue
        _undo(change)
        undone.append(change)
    return undone


def _undo(change: Change) -> None:
    match change.kind:
        case "processes":
            end_processes(Path(change.name))
        case "cgroup":
            remove_cgroups(change.name)
        case "netns":
            fabric.remove(change.name)
        case "directory":
            _unmount_below(change.name)
            shutil.rmtree(change.name, ignore_errors=True)
        case "sandboxes":
            _forget_sandboxes(Path(change.name))
        case "file":
            Path(change.name).unlink(missing_ok=True)
        case "parent":
            with contextlib.suppress(OSError):
                Path(change.name).rmdir()


def end_processes(run: Path) -> None:
    """Kill whatever runs out of this run directory; first those who would bring it back."""
    processes.end(processes.named(run / "pids", "guardian", "supervisor"))
    processes.end(processes.remembered(run / "pids"))
    quiet = 0
    for _ in range(LOOKS_MAX):
        # A shim that was being started when its containerd was killed shows itself late.
        left = processes.running_from(run)
        processes.end(left)
        quiet = 0 if left else quiet + 1
        if quiet == QUIET_LOOKS:
            break
        processes.pause(LOOK_SECONDS)
    # A shim that is killed leaves its socket in containerd's own directory.
    for bundle in run.glob("nodes/*/containerd/io.containerd.runtime.v2.task/*/*"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            Path(shim_address(bundle).removeprefix("unix://")).unlink(missing_ok=True)


def shim_address(bundle: Path) -> str:
    """Where the shim of this bundle listens: in a file of its own, or since 1.7 with more.

    OSError, ValueError or KeyError where nothing tells.
    """
    told = bundle / "bootstrap.json"
    if told.exists():
        return str(json.loads(told.read_text())["address"])
    return (bundle / "address").read_text()


def _forget_sandboxes(nodes: Path) -> None:
    for sandbox in nodes.glob("*/containerd/io.containerd.grpc.v1.cri/sandboxes/*"):
        for result in CNI_RESULTS.glob(f"*-{sandbox.name}-*"):
            result.unlink(missing_ok=True)


def remove_cgroups(name: str) -> None:
    """Kill the processes below this cgroup in every hierarchy and remove it."""
    directories = cgroup_directories(name)
    for _ in range(CGROUP_ROUNDS):
        inside = processes.in_cgroups(directories)
        if not inside:
            break
        processes.end(inside)
    for directory in directories:
        for path, _, _ in os.walk(directory, topdown=False):
            _remove_cgroup(Path(path))


def _remove_cgroup(directory: Path) -> None:
    """The kernel calls it busy for a moment after its last process has ended."""
    for round_ in range(BUSY_ROUNDS):
        try:
            directory.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or round_ == BUSY_ROUNDS - 1:
                raise
            processes.end(processes.in_cgroups([directory]))
            processes.pause(LOOK_SECONDS)
        else:
            return


def cgroup_directories(name: str) -> list[Path]:
    """This cgroup's directory in each mounted hierarchy, version 1 and 2, where it exists."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.split()[0] in ("cgroup", "cgroup2"):
            directory = Path(left.split()[4]) / name
            if directory.is_dir():
                found.append(directory)
    return found


def _unmount_below(directory: str) -> None:
    for point in kernel.mounts_below(directory):
        with contextlib.suppress(OSError):
            kernel.unmount(point)
