"""What comes late when a cluster is taken down: shims that were being started, busy cgroups."""

import subprocess
from pathlib import Path

import pytest

from pilothouse.ops.local import processes
from pilothouse.ops.local.take_down import cgroup_directories, end_processes, remove_cgroups

SLUG = "pilothouse-late"


def test_a_shim_that_starts_late_is_found(tmp_path: Path) -> None:
    """It is a child of one that is killed, and only then takes its name."""
    run = tmp_path / "run"
    (run / "nodes").mkdir(parents=True)
    late = f"sleep 0.03; exec -a containerd-shim sh -c 'sleep 100; :' {run}/nodes/x"
    with subprocess.Popen(["bash", "-c", late]) as one:
        try:
            end_processes(run)
            one.wait(5)
            assert not processes.running_from(run)
        finally:
            one.kill()


def test_cgroups_with_processes_go(tmp_path: Path) -> None:
    where = Path("/sys/fs/cgroup/cpu")
    if not where.is_dir():
        pytest.skip("no hierarchy of version 1")
    deep = where / SLUG / "node-1" / "podx"
    deep.mkdir(parents=True)
    with subprocess.Popen(["sh", "-c", "while :; do (sleep 0.01 & wait); done"]) as one:
        (deep / "cgroup.procs").write_text(str(one.pid))
        remove_cgroups(SLUG)
        one.wait(5)
    assert cgroup_directories(SLUG) == []
