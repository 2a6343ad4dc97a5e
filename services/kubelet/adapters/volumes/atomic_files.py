"""Write a volume's files so that a reader sees all of one version or all of another.

Kubernetes' own layout, which programs rely on: each file is a link into ``..data``, ``..data`` is
a link to a directory named after the moment, and renaming that one link changes everything.
"""

import os
import shutil
import tempfile
from pathlib import Path

from pilothouse.services.kubelet.volumes.payload import File, Files

CURRENT = "..data"
FRESH = "..data_tmp"
GROUP_READS = 0o040
GROUP_ENTERS = 0o2050
"""Of a directory whose files belong to a group: it may look, and what is made there is its own."""


def write(volume: Path, files: Files, group: int | None = None) -> bool:
    """Make ``volume`` hold exactly ``files``; whether anything changed.

    ``group`` owns them and may read what their owner may.
    """
    volume.mkdir(parents=True, exist_ok=True)
    current = volume / CURRENT
    if current.is_dir() and _read(current) == _wanted(files, group):
        return False
    old = current.readlink() if current.is_symlink() else None
    made = Path(tempfile.mkdtemp(prefix="..", dir=volume))
    made.chmod(0o755)
    for name, file in files.items():
        _write_one(made / name, file, group)
    if group is not None:
        for directory in (volume, *(Path(top) for top, _, _ in os.walk(made))):
            os.chown(directory, -1, group)
            directory.chmod(directory.stat().st_mode & 0o7777 | GROUP_ENTERS)
    fresh = volume / FRESH
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(made.name)
    fresh.replace(current)
    _link(volume, {Path(name).parts[0] for name in files})
    if old is not None:
        shutil.rmtree(volume / old, ignore_errors=True)
    return True


def _write_one(path: Path, file: File, group: int | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.content)
    if group is not None or file.user is not None:
        os.chown(path, -1 if file.user is None else file.user, -1 if group is None else group)
    path.chmod(_mode(file.mode, group))


def _mode(mode: int, group: int | None) -> int:
    return mode if group is None else mode | 0o400 | GROUP_READS


def _wanted(files: Files, group: int | None) -> dict[str, tuple[bytes, int]]:
    return {name: (file.content, _mode(file.mode, group)) for name, file in files.items()}


def _read(directory: Path) -> dict[str, tuple[bytes, int]]:
    real = directory.resolve()
    return {
        str(path.relative_to(real)): (path.read_bytes(), path.stat().st_mode & 0o777)
        for path in real.rglob("*")
        if path.is_file()
    }


def _link(volume: Path, names: set[str]) -> None:
    """One link a top name, and none for names that are gone."""
    for name in names:
        link = volume / name
        if not link.is_symlink():
            link.symlink_to(f"{CURRENT}/{name}")
    for entry in volume.iterdir():
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
