"""hostPath volumes: what must be there, or is made."""

import stat
from pathlib import Path

from pilothouse.services.kubelet.volumes.sources import HostPathSource
from pilothouse.services.machinery.errors import BadRequest, NotFound

_KINDS = {
    "Directory": (stat.S_ISDIR, "is not a directory"),
    "File": (stat.S_ISREG, "is not a file"),
    "Socket": (stat.S_ISSOCK, "is not a socket file"),
    "CharDevice": (stat.S_ISCHR, "is not a character device"),
    "BlockDevice": (stat.S_ISBLK, "is not a block device"),
}


def check(source: HostPathSource) -> None:
    """Make it where the type says so; NotFound where it is not what the type says."""
    path = Path(source.path)
    if not source.type:
        return
    if ".." in path.parts:
        raise BadRequest(f"hostPath {source.path!r} must not contain '..'")
    kind = source.type.removesuffix("OrCreate")
    if kind not in _KINDS:
        raise BadRequest(f"{source.type} is an invalid volume type")
    if kind != source.type and not path.exists():
        if kind == "Directory":
            path.mkdir(parents=True, mode=0o755)
        else:
            path.touch(mode=0o644)
        return
    holds, otherwise = _KINDS[kind]
    if not path.exists() or not holds(path.stat().st_mode):
        raise NotFound(f"hostPath type check failed: {path} {otherwise}")
