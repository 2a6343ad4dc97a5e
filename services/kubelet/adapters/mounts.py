"""Mount and unmount, by the kernel's own calls."""

import ctypes
import os
from pathlib import Path

MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def mount_tmpfs(target: Path, size_bytes: int) -> None:
    """An empty file system in memory; 0 bytes: half of the machine's memory."""
    options = f"size={size_bytes}" if size_bytes else ""
    path = os.fsencode(target)
    if _libc.mount(b"tmpfs", path, b"tmpfs", ctypes.c_ulong(0), options.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"mount tmpfs on {target}")


def unmount_below(directory: Path) -> None:
    """Detach every mount under ``directory``, innermost first."""
    prefix = f"{directory}/"
    points = [
        line.split()[4].encode().decode("unicode_escape")
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
    ]
    for point in sorted((item for item in points if item.startswith(prefix)), reverse=True):
        if _libc.umount2(os.fsencode(point), MNT_DETACH) != 0:
            raise OSError(ctypes.get_errno(), f"unmount {point}")
