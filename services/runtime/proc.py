"""What the kernel says of this process."""

import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pilothouse.services.runtime.exposition import Family, Sort

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
# Places in /proc/self/stat, counted after the name: started (in ticks), size (bytes), rss (pages).
_UTIME, _STIME, _STARTED, _SIZE, _RESIDENT = 11, 12, 19, 20, 21


def host_name() -> str:
    """What this machine calls itself."""
    return os.uname().nodename


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds, bytes and numbers of files."""

    cpu_seconds: float
    start_seconds: float
    virtual_bytes: int
    resident_bytes: int
    open_files: int
    open_files_max: int


def usage() -> Usage:
    """This process, now."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    boot = next(
        int(line.split()[1])
        for line in Path("/proc/stat").read_text().splitlines()
        if line.startswith("btime ")
    )
    return Usage(
        cpu_seconds=(int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS,
        start_seconds=boot + int(fields[_STARTED]) / _TICKS,
        virtual_bytes=int(fields[_SIZE]),
        resident_bytes=int(fields[_RESIDENT]) * _PAGE,
        open_files=sum(1 for _ in Path("/proc/self/fd").iterdir()),
        open_files_max=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )


def families() -> Iterator[Family]:
    """The process, under the names that every exporter uses."""
    now = usage()
    told: tuple[tuple[str, Sort, str, float], ...] = (
        ("process_cpu_seconds_total", "counter", "CPU time spent, in seconds.", now.cpu_seconds),
        ("process_start_time_seconds", "gauge", "When it started, unix time.", now.start_seconds),
        ("process_virtual_memory_bytes", "gauge", "Address space, in bytes.", now.virtual_bytes),
        ("process_resident_memory_bytes", "gauge", "Memory in use, in bytes.", now.resident_bytes),
        ("process_open_fds", "gauge", "Open file descriptors.", now.open_files),
        ("process_max_fds", "gauge", "The most there may be open.", now.open_files_max),
    )
    for name, sort, help_, value in told:
        yield Family(name, sort, help_).add(value)
