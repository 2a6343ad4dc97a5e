"""A machine of its own for a test: a booted systemd in namespaces, its own root over this disk.

Nothing of the host is written: /etc is an overlay; /var, /run, /tmp, /dev and the units are its
own; its cgroups lie below one that is removed with it. When its first process is killed, the
kernel ends all the others.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pilothouse.ops.images.recipes import PAUSE
from pilothouse.ops.local.containerd import may_lower_oom_score
from pilothouse.ops.local.take_down import cgroup_directories, remove_cgroups

BOOT = Path(__file__).with_name("machine.sh")
SYSTEM_UNITS = Path("/usr/lib/systemd/system")
# What a system is made of that starts nothing by itself.
UNITS = (
    "basic.target", "sysinit.target", "multi-user.target", "network.target", "shutdown.target",
    "network-online.target", "sockets.target", "timers.target", "paths.target", "slices.target",
    "local-fs.target", "umount.target", "final.target", "rescue.target", "emergency.target",
    "containerd.service", "systemd-journald.service", "systemd-journald.socket",
)  # fmt: skip
PREFIX = "pilothouse-machine-"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Machine:
    """The hands of whoever has a root shell on it."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name, self.directory = name, directory
        self._slug = f"{PREFIX}{os.getpid()}-{name}"
        self._init = 0
        self._outer: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Start systemd and wait until it takes orders."""
        units = self.directory / "units"
        units.mkdir(parents=True)
        for unit in UNITS:
            shutil.copy(SYSTEM_UNITS / unit, units / unit)
        wants = units / "sockets.target.wants"
        wants.mkdir()
        (wants / "systemd-journald.socket").symlink_to("../systemd-journald.socket")
        (self.directory / "containerd.toml").write_text(_containerd())
        _remove_strays()
        with (self.directory / "console").open("wb") as console:
            # The machine goes down with whoever runs the tests.
            boot = ["setpriv", "--pdeathsig", "KILL", "sh", BOOT]
            self._outer = subprocess.Popen(
                [*boot, self._slug, self.name, self.directory],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            )  # fmt: skip
        self.eventually("it has a first process", self._find_first)
        self.eventually("systemd takes orders", self._is_up)

    def _find_first(self) -> bool:
        """Only ``unshare`` has a child that stays; the shell before it had others."""
        assert self._outer is not None
        outer = Path(f"/proc/{self._outer.pid}")
        if (outer / "comm").read_text().strip() != "unshare":
            return False
        children = (outer / f"task/{self._outer.pid}/children").read_text().split()
        self._init = int(children[0]) if children else 0
        return bool(children)

    def _is_up(self) -> bool:
        comm = Path(f"/proc/{self._init}/comm").read_text().strip()
        if comm != "systemd":
            return False
        # "degraded" is up as well.
        state = self.try_run("systemctl", "is-system-running").stdout.strip()
        return state in ("running", "degraded")

    def off(self) -> None:
        """Kill it all, remove what it had."""
        if self._outer is not None:
            self._outer.kill()
            self._outer.wait()
        remove_cgroups(self._slug)
        assert not cgroup_directories(self._slug)

    @property
    def pid(self) -> int:
        """Its first process, as the host counts."""
        return self._init

    def enter(self) -> list[str]:
        """What a command is put behind to run as root there."""
        inside = ["-m", "-n", "-u", "-i", "-p", "-C", "-r", "-w"]
        return ["nsenter", "-t", str(self._init), *inside, "env", "-i", f"PATH={PATH}", "HOME=/tmp"]

    def try_run(
        self, *command: str | Path, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root there, whatever comes of it."""
        return subprocess.run(
            [*self.enter(), *command],
            capture_output=True, text=True, timeout=timeout, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def run(self, *command: str | Path, timeout: float = 60) -> str:
        """Run a command as root there, which must succeed; what it prints."""
        done = self.try_run(*command, timeout=timeout)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}\n{self.tell()}"
        return done.stdout

    def receive(self, other: "Machine", directory: str) -> None:
        """Carry a directory over from another machine, to the same place."""
        packed = subprocess.run(
            [*other.enter(), "tar", "-C", "/", "-c", f".{directory}"],
            check=True, capture_output=True,
        )  # fmt: skip
        subprocess.run([*self.enter(), "tar", "-C", "/", "-x"], check=True, input=packed.stdout)

    def status_of(self, unit: str) -> dict[str, str]:
        """What the kernel tells of a unit's main process."""
        text = self.run("cat", f"/proc/{self.unit(unit, 'MainPID')}/status")
        return dict(line.split(":\t", 1) for line in text.splitlines())

    def unit(self, name: str, setting: str) -> str:
        """One property of a unit, as ``systemctl show`` gives it."""
        return self.run("systemctl", "show", "--value", "-p", setting, name).strip()

    def eventually(self, what: str, holds: Callable[[], Any], seconds: float = 40) -> None:
        """Ask until it holds; the bound is for failure, it measures nothing."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"{self.name}: {what}: no\n{self.tell()}"
            time.sleep(0.1)

    def tell(self) -> str:
        """What a person would look at first."""
        console = (self.directory / "console").read_text(errors="replace")[-2000:]
        journal = self.try_run("journalctl", "--no-pager", "-q", "-o", "cat", "-n", "40", "-u",
                               "pilothouse-*").stdout  # fmt: skip
        return f"--- console of {self.name}\n{console}\n--- journal\n{journal}"


def connect(
    one: Machine, address: str, other: Machine, other_address: str, *, interface: str, mtu: int
) -> None:
    """A cable between the two; addresses come with their prefix lengths."""
    subprocess.run(
        ["nsenter", "-t", str(one.pid), "-n", "ip", "link", "add", interface, "type", "veth",
         "peer", "name", interface, "netns", str(other.pid)], check=True,
    )  # fmt: skip
    for machine, own in ((one, address), (other, other_address)):
        machine.run("ip", "address", "add", own, "dev", interface)
        machine.run("ip", "link", "set", interface, "mtu", str(mtu), "up")


def _remove_strays() -> None:
    """Cgroups of a test run that was killed; its machines went with it."""
    root = Path("/sys/fs/cgroup")
    for path in [*root.glob(f"{PREFIX}*"), *root.glob(f"*/{PREFIX}*")]:
        run = path.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", run).exists():
            remove_cgroups(path.name)


def _containerd() -> str:
    restrict = str(not may_lower_oom_score()).lower()
    return f"""version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = {restrict}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
"""
