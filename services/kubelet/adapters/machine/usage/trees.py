"""File systems, and trees in them."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pilothouse.services.kubelet.stats.values import Filesystem

BLOCK_BYTES = 512


def filesystem(path: Path, now: float) -> Filesystem | None:
    """The file system that ``path`` is in; None where there is no such path."""
    try:
        told = os.statvfs(path)
    except OSError:
        return None
    return Filesystem(
        at=now,
        capacity_bytes=told.f_blocks * told.f_frsize,
        available_bytes=told.f_bavail * told.f_frsize,
        used_bytes=(told.f_blocks - told.f_bfree) * told.f_frsize,
        inodes=told.f_files,
        inodes_free=told.f_ffree,
        inodes_used=told.f_files - told.f_ffree,
    )


def tree(path: Path, now: float) -> Filesystem | None:
    """What lies below ``path``, as ``du`` counts it: links once, no other file system."""
    around = filesystem(path, now)
    if around is None:
        return None
    try:
        top = path.stat()
    except OSError:
        return None
    seen = {top.st_ino}
    used = top.st_blocks * BLOCK_BYTES
    for status in _statuses(str(path), top.st_dev):
        if status.st_ino not in seen:
            seen.add(status.st_ino)
            used += status.st_blocks * BLOCK_BYTES
    return replace(around, used_bytes=used, inodes_used=len(seen))


def _statuses(top: str, device: int) -> Iterator[os.stat_result]:
    waiting = [top]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    try:
                        status = entry.stat(follow_symlinks=False)
                        is_directory = entry.is_dir(follow_symlinks=False)
                    except OSError:
                        continue
                    if status.st_dev != device:
                        continue
                    yield status
                    if is_directory:
                        waiting.append(entry.path)
        except OSError:
            continue
