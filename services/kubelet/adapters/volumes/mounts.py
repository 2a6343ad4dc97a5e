"""Mount and unmount, by the kernel's own calls."""

import ctypes
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT = 1, 2, 4, 32
MS_BIND = 4096
BINDS = frozenset({"bind", "rbind"})
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def mount_tmpfs(target: Path, size_bytes: int) -> None:
    """An empty file system in memory that is never swapped; 0 bytes: half of the machine's."""
    size = f"size={size_bytes}" if size_bytes else ""
    try:
        _mount(b"tmpfs", target, b"tmpfs", 0, f"{size},noswap".lstrip(","))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        _mount(b"tmpfs", target, b"tmpfs", 0, size)


def mount_huge_pages(target: Path, page_size: str) -> None:
    """Memory in pages of this size (``2Mi``)."""
    _mount(b"nodev", target, b"hugetlbfs", 0, f"pagesize={page_size.removesuffix('i')}")


def bind(opened: int, target: Path) -> None:
    """Show the file or directory behind an open descriptor at ``target``, which is made."""
    if stat.S_ISDIR(os.fstat(opened).st_mode):
        target.mkdir(parents=True, exist_ok=True, mode=0o750)
    else:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        target.touch(mode=0o640)
    _mount(f"/proc/self/fd/{opened}".encode(), target, b"", MS_BIND, "")


def mount_read_only(kind: str, source: str, target: Path, options: Sequence[str]) -> None:
    """A file system, or a directory bound; nobody writes to it or finds devices in it."""
    said = [word for word in options if word not in BINDS | {"ro", "rw"}]
    if kind == "bind" or BINDS & set(options):
        _mount(os.fsencode(source), target, b"", MS_BIND, "")
        flags = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV
        _mount(os.fsencode(source), target, b"", flags, "")
        return
    flags = MS_RDONLY | MS_NOSUID | MS_NODEV
    _mount(os.fsencode(source), target, kind.encode(), flags, ",".join(said))


def _mount(source: bytes, target: Path, kind: bytes, flags: int, options: str) -> None:
    where = os.fsencode(target)
    done = _libc.mount(source, where, kind, ctypes.c_ulong(flags), options.encode())
    if done != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount on {target}: {os.strerror(code)}")


def unmount(target: Path) -> None:
    """Detach what is mounted at ``target``; fine when nothing is."""
    if _libc.umount2(os.fsencode(target), MNT_DETACH) != 0:
        code = ctypes.get_errno()
        if code not in {errno.EINVAL, errno.ENOENT}:
            raise OSError(code, f"unmount {target}: {os.strerror(code)}")


def is_mounted(target: Path) -> bool:
    """Whether ``target`` is the root of a mount other than its parent's."""
    try:
        return target.lstat().st_dev != target.parent.lstat().st_dev
    except OSError:
        return False


def is_mount_point(target: Path) -> bool:
    """The same where a part of one file system is bound to another of its directories."""
    return str(target) in _mount_points()


def unmount_below(directory: Path) -> None:
    """Detach every mount under ``directory``, innermost first."""
    prefix = f"{directory}/"
    points = [item for item in _mount_points(prefix) if item.startswith(prefix)]
    for point in sorted(points, reverse=True):
        unmount(Path(point))


def _mount_points(near: str = "") -> list[str]:
    """Those whose line has ``near`` in it: most are of other pods, and decoding takes time."""
    near = near.replace(" ", "\\040")
    return [
        line.split()[4].encode().decode("unicode_escape")
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
        if near in line
    ]
