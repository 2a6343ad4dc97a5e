"""What is mounted where in a container."""

from collections.abc import Iterable, Sequence
from typing import Any

from pilothouse.cri_shim import configs
from pilothouse.services.machinery.errors import Invalid

PROC = {
    "destination": "/proc", "type": "proc", "source": "proc",
    "options": ["nosuid", "noexec", "nodev"],
}  # fmt: skip
DEV = {
    "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
    "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
}  # fmt: skip
PTS = {
    "destination": "/dev/pts", "type": "devpts", "source": "devpts",
    "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
}  # fmt: skip
MQUEUE = {
    "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
    "options": ["nosuid", "noexec", "nodev"],
}  # fmt: skip

_PROPAGATION = {
    configs.PRIVATE: "rprivate",
    configs.HOST_TO_CONTAINER: "rslave",
    configs.BIDIRECTIONAL: "rshared",
}


def kernel(*, privileged: bool) -> list[dict[str, Any]]:
    """The file systems that every container has of the kernel."""
    access = "rw" if privileged else "ro"
    sys = {
        "destination": "/sys", "type": "sysfs", "source": "sysfs",
        "options": ["nosuid", "noexec", "nodev", access],
    }  # fmt: skip
    cgroup = {
        "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
        "options": [access, "nosuid", "noexec", "nodev", "relatime"],
    }  # fmt: skip
    return [PROC, DEV, PTS, MQUEUE, sys, cgroup]


def bind(source: str, destination: str, *options: str) -> dict[str, Any]:
    """A path of the node seen at another."""
    return {
        "destination": destination, "type": "bind", "source": source,
        "options": ["rbind", "rprivate", *options],
    }  # fmt: skip


def asked(mount: configs.Mount) -> dict[str, Any]:
    """One mount that CRI asks for; Invalid when it can not be as asked."""
    if mount.recursive_read_only and not (mount.readonly and mount.propagation == configs.PRIVATE):
        raise Invalid(
            f"{mount.container_path}: recursive read-only needs read-only and private propagation"
        )
    if mount.uidMappings or mount.gidMappings:
        raise Invalid(f"{mount.container_path}: idmap mounts are not supported")
    access = "rro" if mount.recursive_read_only else "ro" if mount.readonly else "rw"
    return {
        "destination": mount.container_path,
        "type": "bind",
        "source": mount.host_path,
        "options": ["rbind", _PROPAGATION[mount.propagation], access, *mount.mount_options],
    }


def root_propagation(mounts: Iterable[configs.Mount]) -> str:
    """Of the whole root, so that what is mounted later can pass; empty when nothing asks."""
    modes = {mount.propagation for mount in mounts}
    if configs.BIDIRECTIONAL in modes:
        return "rshared"
    return "rslave" if configs.HOST_TO_CONTAINER in modes else ""


def layered(below: Sequence[dict[str, Any]], above: Sequence[dict[str, Any]]) -> list[Any]:
    """Both, outer paths first; what is asked for takes the place of what is there anyway."""
    taken = {_clean(mount["destination"]) for mount in above}
    kept = [mount for mount in below if _clean(mount["destination"]) not in taken]
    return kept + sorted(above, key=lambda mount: _clean(mount["destination"]).count("/"))


def _clean(path: str) -> str:
    return "/" + "/".join(part for part in path.split("/") if part)
