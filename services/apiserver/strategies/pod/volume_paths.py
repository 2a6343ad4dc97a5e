"""Rules of paths inside volumes, and of the modes of files there."""

from collections.abc import Iterable

from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

MODE_MAX = 0o777
MODE_DETAIL = "must be a number between 0 and 0777 (octal), both inclusive"


def check_no_backsteps(path: str, field: str) -> list[Cause]:
    """No step of a path goes up."""
    if ".." not in path or ".." not in path.split("/"):
        return []
    return [names.invalid(field, path, "must not contain '..'")]


def check_local_path(path: str, field: str) -> list[Cause]:
    """A path that stays below where it starts."""
    causes = []
    if path.startswith("/"):
        causes.append(names.invalid(field, path, "must be a relative path"))
    return causes + check_no_backsteps(path, field)


def check_free_path(path: str, field: str) -> list[Cause]:
    """The same, and not a name that the kubelet keeps for itself."""
    causes = check_local_path(path, field)
    if path.startswith("..") and not path.startswith("../") and path != "..":
        causes.append(names.invalid(field, path, "must not start with '..'"))
    return causes


def check_mode(mode: int | None, field: str) -> list[Cause]:
    """The bits of a file's permissions."""
    if mode is None or 0 <= mode <= MODE_MAX:
        return []
    return [names.invalid(field, mode, MODE_DETAIL)]


def check_items(items: Iterable[Body], path: str) -> list[Cause]:
    """Keys and the paths that they are written to."""
    causes: list[Cause] = []
    for index, item in enumerate(items):
        where = f"{path}[{index}]"
        causes += [names.required(f"{where}.{f}") for f in ("key", "path") if not item.get(f)]
        causes += check_free_path(item.get("path", ""), f"{where}.path")
        causes += check_mode(item.get("mode"), f"{where}.mode")
    return causes
