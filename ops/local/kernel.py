"""The few system calls that Python 3.11 does not have: namespaces and mounts."""

import ctypes
import os
from pathlib import Path

CLONE_NEWNET = 0x40000000
MNT_DETACH = 2
MS_BIND = 4096

_libc = ctypes.CDLL(None, use_errno=True)


def enter_netns(path: Path) -> None:
    """Move this thread into the network namespace at ``path``; OSError when it can not."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(descriptor, CLONE_NEWNET), path)
    finally:
        os.close(descriptor)


def make_netns(path: Path) -> None:
    """Make a network namespace that lives at ``path`` until it is unmounted."""
    path.touch()
    child = os.fork()
    if child == 0:
        try:
            _check(_libc.unshare(CLONE_NEWNET), path)
            source = b"/proc/self/ns/net"
            _check(_libc.mount(source, os.fsencode(path), b"none", MS_BIND, None), path)
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise OSError(f"{path}: the kernel made no network namespace")


def unmount(path: str) -> None:
    """Take away the mount at ``path`` now; what still uses it keeps it until it ends."""
    _check(_libc.umount2(os.fsencode(path), MNT_DETACH), Path(path))


def mounts_below(prefix: str) -> list[str]:
    """The mount points at ``prefix`` or under it, the deepest and newest first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point == prefix or point.startswith(prefix + "/"):
            found.append(point)
    return found[::-1]


def _check(result: int, path: Path) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
