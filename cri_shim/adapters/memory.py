"""Whether the kernel killed something of a container for lack of memory."""

from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
FILES = (("memory", "memory.oom_control"), ("", "memory.events"))
"""Of cgroups v1 and v2; both have a line ``oom_kill N``."""


def was_short(cgroup_path: str) -> bool:
    """Asked before the task is deleted: its cgroup goes then."""
    for hierarchy, file in FILES:
        try:
            text = (CGROUPS / hierarchy / cgroup_path.lstrip("/") / file).read_text()
        except OSError:
            continue
        for line in text.splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill" and count.strip() not in {"", "0"}:
                return True
    return False
