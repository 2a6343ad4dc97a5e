"""What the machine is, asked once."""

import json
import os
import platform
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pilothouse.cri_shim.configs import Device as AskedDevice
from pilothouse.cri_shim.oci.facts import Device, Machine
from pilothouse.services.machinery.errors import Invalid

CAP_SYS_RESOURCE = 24
CGROUPS = Path("/sys/fs/cgroup")
NO_HOST_DEVICES = frozenset({"pts", "shm", "fd", "mqueue", "console", ".lxc", ".lxd-mounts",
                             ".udev", "core", "stdin", "stdout", "stderr"})  # fmt: skip


def observe(*, runc: str, systemd_cgroups: bool) -> Machine:
    """The facts on which specs depend."""
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines()
    )
    held = int(status["CapEff"], 16)
    unified = (CGROUPS / "cgroup.controllers").exists()
    return Machine(
        name=platform.machine(),
        hostname=socket.gethostname(),
        capabilities=held,
        own_oom_score_adj=int(Path("/proc/self/oom_score_adj").read_text()),
        may_lower_oom_score=bool(held >> CAP_SYS_RESOURCE & 1),
        unified_cgroups=unified,
        counts_swap=_counts_swap(unified=unified),
        systemd_cgroups=systemd_cgroups,
        apparmor=Path("/sys/kernel/security/apparmor/profiles").exists(),
        recursive_read_only="rro" in _mount_options(runc),
    )


def _counts_swap(*, unified: bool) -> bool:
    if unified:
        return any(CGROUPS.glob("*/memory.swap.max"))
    return (CGROUPS / "memory" / "memory.memsw.limit_in_bytes").exists()


def _mount_options(runc: str) -> list[str]:
    """What runc says it can do; older ones say nothing."""
    binary = shutil.which(runc or "runc")
    if binary is None:
        return []
    done = subprocess.run([binary, "features"], capture_output=True, check=False, timeout=10)
    try:
        return list(json.loads(done.stdout).get("mountOptions") or ())
    except ValueError:
        return []


def devices(asked: tuple[AskedDevice, ...], *, privileged: bool) -> tuple[Device, ...]:
    """The device nodes that are asked for, or all of the node; Invalid for what is none."""
    if privileged:
        return tuple(_of_the_node(Path("/dev")))
    return tuple(found for item in asked for found in _asked(item))


def _asked(item: AskedDevice) -> Iterator[Device]:
    host = Path(item.host_path)
    permissions = item.permissions or "rwm"
    if host.is_dir():
        for path in sorted(host.rglob("*")):
            inside = f"{item.container_path.rstrip('/')}/{path.relative_to(host)}"
            if found := _device(path, inside, permissions):
                yield found
        return
    found = _device(host, item.container_path or item.host_path, permissions)
    if found is None:
        raise Invalid(f"{item.host_path} is no device")
    yield found


def _of_the_node(top: Path) -> Iterator[Device]:
    for entry in sorted(os.scandir(top), key=lambda item: item.name):
        if entry.name in NO_HOST_DEVICES:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _of_the_node(Path(entry.path))
        elif found := _device(Path(entry.path), entry.path, "rwm"):
            yield found


def _device(path: Path, inside: str, permissions: str) -> Device | None:
    try:
        found = path.lstat() if path.parts[:2] == ("/", "dev") else path.stat()
        if stat.S_ISLNK(found.st_mode):
            found = path.stat()
    except OSError:
        return None
    if not (stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)):
        return None
    return Device(
        inside,
        "c" if stat.S_ISCHR(found.st_mode) else "b",
        os.major(found.st_rdev),
        os.minor(found.st_rdev),
        stat.S_IMODE(found.st_mode),
        found.st_uid,
        found.st_gid,
        permissions,
    )
