"""Keep container logs from filling the disk: at most five files of ten mebibytes each."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from pilothouse.services.kubelet.pod.observed import Container
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.clock import Clock

BYTES_MAX = 10 * 1024 * 1024
FILES_MAX = 5
LOOK_SECONDS = 10.0


class Reopener(Protocol):
    """The runtime, which holds the files open."""

    async def reopen_log(self, id_: str) -> None: ...


class Rotation:
    """Looks at the size of every running container's log."""

    def __init__(self, pods: Pods, runtime: Reopener, clock: Clock) -> None:
        self._pods = pods
        self._runtime = runtime
        self._clock = clock
        self._log = telemetry.logger(part="logs")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            for worker in self._pods.workers():
                await self.rotate(worker.observed.containers)

    async def rotate(self, containers: Iterable[Container]) -> None:
        """Move away the logs that are full."""
        for container in containers:
            path = Path(container.log_path)
            if container.state != "running" or not _is_full(path):
                continue
            stamp = timestamps.render(self._clock.now()).replace(":", "")
            moved = path.with_name(f"{path.name}.{stamp}")
            _move(path, moved)
            try:
                await self._runtime.reopen_log(container.id)
            except ApiError as error:
                _move(moved, path)
                self._log.warning("log not rotated", path=str(path), error=error.message)
                continue
            _drop_oldest(path)


def _is_full(path: Path) -> bool:
    try:
        return path.stat().st_size > BYTES_MAX
    except OSError:
        return False


def _move(path: Path, to: Path) -> None:
    path.rename(to)


def _drop_oldest(path: Path) -> None:
    """The current file and the newest moved ones stay."""
    for old in sorted(path.parent.glob(f"{path.name}.*"))[: -(FILES_MAX - 1)]:
        old.unlink(missing_ok=True)
