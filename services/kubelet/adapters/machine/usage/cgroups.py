"""Cgroups as files, in whichever version they are mounted."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pilothouse.services.kubelet.stats import cgroup_files, proc_files
from pilothouse.services.kubelet.stats.values import Cgroup
from pilothouse.services.runtime.clock import Clock

MOUNT = Path("/sys/fs/cgroup")
PROC = Path("/proc")
UNIFIED = "unified"


class CgroupFiles:
    """Reads below ``mount``."""

    def __init__(self, clock: Clock, mount: Path = MOUNT, proc: Path = PROC) -> None:
        self._clock = clock
        self._mount = mount
        self._proc = proc
        self._is_v2 = (mount / "cgroup.controllers").exists()

    def read(self, path: str) -> Cgroup | None:
        """The cgroup of this path; None where there is none."""
        below = path.strip("/")
        now = self._clock.now()
        if self._is_v2:
            texts = dict(_texts(self._mount / below, (*cgroup_files.V2, *cgroup_files.PRESSURES)))
            if not below:
                texts |= self._whole()
            return cgroup_files.decode_v2(texts, now) if texts else None
        texts = {}
        for controller, names in cgroup_files.V1.items():
            texts |= dict(_texts(self._mount / controller / below, names))
        if not texts:
            return None
        # Beside version 1's controllers, version 2 may still tell who had to wait.
        texts |= dict(_texts(self._mount / UNIFIED / below, cgroup_files.PRESSURES))
        return cgroup_files.decode_v1(texts, now)

    def _whole(self) -> dict[str, str]:
        """The root of version 2 does not say what is used: the machine does."""
        amounts = proc_files.amounts((self._proc / "meminfo").read_text())
        used = amounts.get("MemTotal", 0) - amounts.get("MemFree", 0)
        swap = amounts.get("SwapTotal", 0) - amounts.get("SwapFree", 0)
        return {"memory.current": str(used), "memory.swap.current": str(swap)}

    def first_process(self, path: str) -> int | None:
        """Any process of the cgroup; None where there is none."""
        below = path.strip("/")
        hierarchy = self._mount if self._is_v2 else self._mount / "pids"
        for _, text in _texts(hierarchy / below, ("cgroup.procs",)):
            words = text.split()
            return int(words[0]) if words else None
        return None


def _texts(directory: Path, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            yield name, (directory / name).read_text()
        except OSError:
            continue
