"""Which processes run, found by pid files and by what they run out of; never by a loose name."""

import contextlib
import os
import select
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pilothouse.services.runtime.clock import SystemClock

KILL_WAIT_SECONDS = 5.0
# Fields of /proc/PID/stat after the command's closing bracket, counted from 0.
_STATE_FIELD = 0
_START_FIELD = 19


@dataclass(frozen=True, slots=True)
class Process:
    """A process by number and birth: a number that was given out again is another process."""

    name: str
    pid: int
    born: int

    def is_alive(self) -> bool:
        return birth(self.pid) == self.born

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it is still the same process."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def birth(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[_STATE_FIELD] in "ZX" else int(fields[_START_FIELD])


def remember(directory: Path, name: str, pid: int) -> None:
    """Write the pid file ``<directory>/<name>.pid``."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.pid"
    fresh = path.with_suffix(".new")
    fresh.write_text(f"{pid} {birth(pid) or 0}\n")
    fresh.replace(path)


def named(directory: Path, *names: str) -> list[Process]:
    """Those of these names that are alive, in the order of the names; never this very process."""
    alive = {process.name: process for process in remembered(directory)}
    return [alive[name] for name in names if name in alive]


def remembered(directory: Path) -> list[Process]:
    """The processes of the pid files in ``directory`` that are still alive, but for this one."""
    found = []
    for path in sorted(directory.glob("*.pid")):
        with contextlib.suppress(ValueError, FileNotFoundError):
            pid, born = map(int, path.read_text().split())
            process = Process(path.stem, pid, born)
            if process.is_alive() and pid != os.getpid():
                found.append(process)
    return found


def running_from(directory: Path) -> list[Process]:
    """The shims and daemons whose command line names a path below ``directory``."""
    needle = os.fsencode(f"{directory}/")
    found = []
    for pid, arguments in _command_lines():
        program = arguments[0].rpartition(b"/")[2]
        if program.startswith(b"containerd") and any(
            argument.startswith(needle) for argument in arguments[1:]
        ):
            born = birth(pid)
            if born is not None:
                found.append(Process(os.fsdecode(program), pid, born))
    return found


def in_cgroups(directories: Iterable[Path]) -> list[Process]:
    """The processes of these cgroups and of all below them."""
    found = {}
    for directory in directories:
        # os.walk, because a cgroup may go away under it; Path.rglob raises then.
        for path, _, _ in os.walk(directory):
            with contextlib.suppress(OSError):
                for pid in map(int, (Path(path) / "cgroup.procs").read_text().split()):
                    born = birth(pid)
                    if born is not None:
                        found[pid] = Process("container", pid, born)
    return list(found.values())


def end(processes: Iterable[Process], *, grace_seconds: float = 0.0) -> None:
    """SIGTERM, a grace, then SIGKILL; returns when all are gone (TimeoutError after 5 s more)."""
    waiting = list(processes)
    if grace_seconds:
        for process in waiting:
            process.signal(signal.SIGTERM)
        waiting = wait_gone(waiting, grace_seconds)
    for process in waiting:
        process.signal(signal.SIGKILL)
    waiting = wait_gone(waiting, KILL_WAIT_SECONDS)
    if waiting:
        raise TimeoutError(f"still alive after SIGKILL: {waiting}")


def wait_gone(processes: Iterable[Process], seconds: float) -> list[Process]:
    """Wait until all are gone or the time is up; those that are left."""
    clock = SystemClock()
    deadline = clock.monotonic() + seconds
    left = []
    for process in processes:
        if not process.is_alive():
            continue
        try:
            descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:
            continue
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            remaining = max(0.0, deadline - clock.monotonic())
            if not poll.poll(remaining * 1000) and process.is_alive():
                left.append(process)
        finally:
            os.close(descriptor)
    return left


def pause(seconds: float) -> None:
    """Let others go on; for those who look again."""
    select.select([], [], [], seconds)


def _command_lines() -> Iterator[tuple[int, list[bytes]]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")[:-1]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if arguments:
            yield int(entry.name), arguments
