"""The control plane that authors of operators get from a fixture, as they meet it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLED = """
import os, signal
from pathlib import Path

def test_is_killed(control_plane):
    control_plane.kubectl("create", "configmap", "there")
    Path("told").write_text(f"{control_plane.folder} {control_plane.url}")
    os.kill(os.getpid(), signal.SIGKILL)
"""
UNPRIVILEGED = """
from pathlib import Path

def test_needs_no_root(control_plane):
    assert "CapEff:\\t0000000000000000" in Path("/proc/self/status").read_text()
    control_plane.kubectl("create", "deployment", "web", "--image=web")
    control_plane.kubectl("wait", "--for=create", "pod", "-l", "app=web")
"""
SIMULATED = """
import pytest

@pytest.fixture(scope="session")
def control_plane_nodes(pytestconfig):
    return 2 * int(pytestconfig.getini("control_plane_nodes"))

def test_pods_run(control_plane, control_plane_namespace):
    run = ("run", "web", "--image=web", "-n", control_plane_namespace)
    control_plane.kubectl(*run)
    control_plane.kubectl("wait", "--for=condition=Ready", "pod/web", "-n", control_plane_namespace)
    assert len(control_plane.kubectl("get", "nodes", "-o", "name").split()) == 2
"""
# Who is root may still own the checkout, and can do no more than any owner of files.
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]


def run_pytest(folder: Path, text: str, *before: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(text)
    return subprocess.run(
        [*before, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:asyncio",
         f"--basetemp={folder}/tmp", f"--rootdir={folder}", "test_it.py"],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


def wait_gone(holds, seconds=30):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_controllers_act_and_nobody_runs_the_pods(control_plane, control_plane_namespace):
    control_plane.kubectl(
        "create", "deployment", "web", "--image=web", "--replicas=2", "-n", control_plane_namespace
    )
    control_plane.kubectl(
        "wait", "--for=create", "pod", "-l", "app=web", "-n", control_plane_namespace
    )
    phases = control_plane.kubectl(
        "get", "pods", "-n", control_plane_namespace, "-o", "jsonpath={.items[*].status.phase}"
    )
    assert set(phases.split()) == {"Pending"}


def test_its_key_is_its_owners_alone(control_plane):
    assert control_plane.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_nothing_is_left_of_it_when_the_test_is_killed(tmp_path):
    done = run_pytest(tmp_path, KILLED)
    assert done.returncode == -9, done.stdout + done.stderr
    folder, _ = (tmp_path / "told").read_text().split()
    wait_gone(lambda: not Path(folder).exists())
    wait_gone(lambda: not list(tmp_path.glob("pilothouse-*")))
    wait_gone(lambda: not processes_that_name(folder))


def test_a_suite_says_how_many_nodes_are_simulated(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\ncontrol_plane_nodes = 1\n")
    done = run_pytest(tmp_path, SIMULATED)
    assert done.returncode == 0, done.stdout + done.stderr


def processes_that_name(folder: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if folder in path.read_text():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give its privileges away")
def test_it_needs_no_privilege_of_root(tmp_path):
    done = run_pytest(tmp_path, UNPRIVILEGED, *POWERLESS)
    assert done.returncode == 0, done.stdout + done.stderr
