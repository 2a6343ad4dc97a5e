"""Ids of the host that pods with their own user namespace have, a file in each one's directory."""

from collections.abc import Iterator
from pathlib import Path

from pilothouse.services.kubelet.security import ranges
from pilothouse.services.kubelet.security.ranges import IdRange

FILE = "userns"


class NodeIdRanges:
    """Below ``root``/pods/UID. A pod's directory goes when the pod does, and its ids with it."""

    def __init__(self, root: Path, pods_max: int, ids_per_pod: int) -> None:
        self._pods = root / "pods"
        self._pods_max = pods_max
        self._ids_per_pod = ids_per_pod

    def of(self, uid: str) -> IdRange | None:
        """What the pod has, or gets now; None when all are given away."""
        path = self._pods / uid / FILE
        kept = _read(path)
        if kept is not None:
            return kept
        found = ranges.free(self._taken(), self._pods_max, self._ids_per_pod)
        if found is not None:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            path.write_text(ranges.encode(found))
        return found

    def _taken(self) -> Iterator[IdRange]:
        for path in self._pods.glob(f"*/{FILE}"):
            kept = _read(path)
            if kept is not None:
                yield kept


def _read(path: Path) -> IdRange | None:
    try:
        return ranges.decode(path.read_text())
    except OSError:
        return None
