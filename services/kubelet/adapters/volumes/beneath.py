"""Open paths that somebody else may change, without being led out of their directory.

A container that shares a volume can put a link where a directory was, at any moment. So a path is
opened by the kernel in one call that refuses to leave its root, and from then on only the open
file counts, never its name.
"""

import ctypes
import errno
import os
from pathlib import Path

from pilothouse.services.machinery.errors import BadRequest

SYS_OPENAT2 = 437
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_BENEATH = 0x08
O_PATH = 0o10000000

_libc = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    """``struct open_how``."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def parts_of(below: str) -> list[str]:
    """The names of a relative path; BadRequest for one that is absolute or has ``..`` in it."""
    if below.startswith("/"):
        raise BadRequest(f"error SubPath `{below}` must not be an absolute path")
    parts = [part for part in below.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise BadRequest(f"unable to provision SubPath `{below}`: must not contain '..'")
    return parts


def open_made(root: Path, below: str) -> int:
    """A descriptor (``O_PATH``) of ``root/below``; directories that are absent are made.

    The caller closes it. BadRequest when a link leads out of ``root``.
    """
    parts = parts_of(below)
    opened = os.open(root, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mode = os.fstat(opened).st_mode & 0o777
    try:
        for at in range(1, len(parts) + 1):
            # From the root again, so that a link may go up as long as it stays inside.
            found = _open_beneath(opened, "/".join(parts[:at]), below)
            if found is None:
                _make(opened, parts[:at], mode, below)
            elif at < len(parts):
                os.close(found)
            else:
                return found
        found = _open_beneath(opened, "/".join(parts) or ".", below)
        if found is None:
            raise BadRequest(f"subPath {below!r} vanished while it was prepared")
        return found
    finally:
        os.close(opened)


def _make(root: int, parts: list[str], mode: int, below: str) -> None:
    parent = _open_beneath(root, "/".join(parts[:-1]) or ".", below)
    if parent is None:
        raise BadRequest(f"subPath {below!r} vanished while it was prepared")
    try:
        os.mkdir(parts[-1], mode, dir_fd=parent)
        made = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY, dir_fd=parent)
        try:
            os.fchmod(made, mode)
            os.fchown(made, -1, os.fstat(parent).st_gid)
        finally:
            os.close(made)
    except OSError as error:
        raise BadRequest(f"subPath {below!r} can not be made: {error.strerror}") from None
    finally:
        os.close(parent)


def _open_beneath(root: int, path: str, below: str) -> int | None:
    """None where it is absent."""
    how = _How(O_PATH | os.O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    encoded = os.fsencode(path)
    while True:
        found = _libc.syscall(SYS_OPENAT2, root, encoded, ctypes.byref(how), ctypes.sizeof(how))
        if found >= 0:
            return int(found)
        match ctypes.get_errno():
            case errno.ENOENT:
                return None
            case errno.EAGAIN | errno.EINTR:
                continue  # somebody renames in the tree at this moment
            case errno.EXDEV | errno.ELOOP:
                raise BadRequest(f"subPath {below!r} leads out of its volume")
            case code:
                raise BadRequest(f"subPath {below!r} can not be opened: {os.strerror(code)}")
