"""The kernel rings when a cgroup uses more memory than it is to."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilothouse.services.kubelet.adapters.machine.alarms import MemoryAlarm
from pilothouse.services.kubelet.adapters.machine.cgroups import is_v2
from pilothouse.services.runtime.clock import SystemClock

MI = 1 << 20


@contextlib.contextmanager
def _memory_cgroup(name: str) -> Iterator[Path]:
    directory = Path("/sys/fs/cgroup/memory") / name
    directory.mkdir()
    try:
        yield directory
    finally:
        directory.rmdir()


@pytest.mark.skipif(is_v2(), reason="version 2 tells of waiting, which no test can make happen")
def test_a_cgroup_of_version_1_rings(tmp_path: Path) -> None:
    with _memory_cgroup(f"pilothouse-test-{tmp_path.parent.name}") as directory:
        mount = tmp_path / "mount"
        mount.mkdir()
        (mount / "memory").symlink_to(directory)

        async def run() -> None:
            rung = asyncio.Event()
            alarm = MemoryAlarm(rung.set, 8 * MI, SystemClock(), mount)
            async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                watching = group.create_task(alarm.run())
                script = f"echo $$ > {directory}/cgroup.procs; head -c {32 * MI} /dev/zero | tail"
                while not rung.is_set():
                    using = await asyncio.create_subprocess_shell(
                        script, stdout=asyncio.subprocess.DEVNULL
                    )
                    await using.wait()
                watching.cancel()

        asyncio.run(run())
