"""Network namespaces and mounts, by the kernel's own calls. Everything here blocks."""

import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pilothouse.cri_shim.ports import Mounted

CLONE_NEWNET = 0x40000000
MNT_DETACH = 2
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
FLAGS = {
    "ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "sync": 16, "noatime": 1024, "nodiratime": 2048,
    "bind": 4096, "rbind": 4096 | 16384, "relatime": 1 << 21, "strictatime": 1 << 24,
    "rw": 0,
}  # fmt: skip
BIND, REMOUNT, RDONLY = 4096, 32, 1
SYS_OPENAT2, RESOLVE_IN_ROOT = 437, 0x10

_libc = ctypes.CDLL(None, use_errno=True)


def make_netns(path: Path) -> None:
    """A network namespace that stays at ``path``, with its loopback up."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()

    def inside() -> None:
        if _libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare the network")
        _raise_loopback()
        mount(f"/proc/self/task/{threading.get_native_id()}/ns/net", path, "", BIND)

    _in_thread(inside)


def remove_netns(path: Path) -> None:
    """Fine when it is gone."""
    unmount(path)
    path.unlink(missing_ok=True)


def _in_thread(call: Callable[[], None]) -> None:
    """Run it in a thread of its own, which may leave its namespaces: it ends right after."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(control, SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def mount(source: str, target: Path, type_: str, flags: int, options: str = "") -> None:
    """mount(2)."""
    found = _libc.mount(
        source.encode(), os.fsencode(target), type_.encode() or None, ctypes.c_ulong(flags),
        options.encode() or None,
    )  # fmt: skip
    if found != 0:
        raise OSError(ctypes.get_errno(), f"mount {source} on {target}")


def unmount(target: Path) -> None:
    """Fine when nothing is mounted there."""
    while _libc.umount2(os.fsencode(target), MNT_DETACH) == 0:
        continue


def mount_snapshot(mounts: Sequence[Mounted], target: Path, *, read_only: bool = False) -> None:
    """Mount a snapshot as its snapshotter says."""
    target.mkdir(parents=True, exist_ok=True)
    for item in mounts:
        flags, left = RDONLY if read_only else 0, []
        for option in item.options:
            if option in FLAGS:
                flags |= FLAGS[option]
            else:
                left.append(option)
        type_ = "" if item.type == "bind" else item.type
        mount(item.source, target, type_, flags, ",".join(left))
        if flags & BIND and flags & RDONLY:
            mount("none", target, "", BIND | REMOUNT | RDONLY)


def open_below(root: Path, path: str) -> int | None:
    """A file for reading, as a process sees it whose root is ``root``; None when it is not there.

    Symbolic links lead nowhere out of the root.
    """
    how = struct.pack("QQQ", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, 0, RESOLVE_IN_ROOT)
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = _libc.syscall(
            SYS_OPENAT2, directory, os.fsencode(path.lstrip("/")), how, ctypes.c_size_t(len(how))
        )
    finally:
        os.close(directory)
    return None if found < 0 else int(found)


def read_below(root: Path, path: str, most: int = 1 << 20) -> str:
    """The text of a file below a root that is not trusted; empty when there is none."""
    descriptor = open_below(root, path)
    if descriptor is None:
        return ""
    with suppress(OSError), os.fdopen(descriptor, "rb") as file:
        return file.read(most).decode(errors="replace")
    return ""
