"""Giving a volume's files to the group that a pod's fsGroup names."""

import os
from collections.abc import Iterator
from pathlib import Path

GROUP_USES = 0o060
GROUP_ENTERS = 0o2070
"""Of a directory: what is made in it belongs to the group too."""
ON_ROOT_MISMATCH = "OnRootMismatch"


def give(volume: Path, group: int, policy: str) -> None:
    """All below ``volume`` is the group's; with OnRootMismatch unless the top already is."""
    if policy == ON_ROOT_MISMATCH and _is_given(volume, group):
        return
    # The top last: whoever looks only there sees what is done when it is done.
    for path in (*_below(volume), volume):
        os.chown(path, -1, group, follow_symlinks=False)
        if path.is_symlink():
            continue
        mode = path.stat().st_mode & 0o7777
        path.chmod(mode | (GROUP_ENTERS if path.is_dir() else GROUP_USES))


def _is_given(volume: Path, group: int) -> bool:
    found = volume.stat()
    return found.st_gid == group and found.st_mode & GROUP_ENTERS == GROUP_ENTERS


def _below(volume: Path) -> Iterator[Path]:
    for top, directories, files in os.walk(volume, topdown=False):
        for name in (*files, *directories):
            yield Path(top) / name
