"""The machine as a whole, and single processes, from /proc."""

import os
import resource
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from pilothouse.services.kubelet.stats import proc_files
from pilothouse.services.kubelet.stats.values import Cgroup, Memory, Network, Part

PROC = Path("/proc")
_TICK_NANOSECONDS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE = resource.getpagesize()
# Places in /proc/PID/stat, counted after the name.
_MINOR, _MAJOR, _UTIME, _STIME, _STARTED, _RESIDENT = 7, 9, 11, 12, 19, 21
_PEER = struct.Struct("3i")
CONNECT_SECONDS = 1.0
USUAL = "eth0"
"""The interface that counts where nothing leads out."""


@dataclass(frozen=True, slots=True)
class Whole:
    """Amounts in bytes; ``processes`` counts threads, as the kernel's limit does."""

    booted_at: float
    memory_bytes: int
    swap_bytes: int
    processes: int
    processes_max: int


def whole() -> Whole:
    """Now."""
    amounts = proc_files.amounts(_text("meminfo"))
    limits = (_text("sys/kernel/pid_max"), _text("sys/kernel/threads-max"))
    return Whole(
        booted_at=proc_files.boot_time(_text("stat")),
        memory_bytes=amounts.get("MemTotal", 0),
        swap_bytes=amounts.get("SwapTotal", 0),
        processes=proc_files.processes(_text("loadavg")),
        processes_max=min((int(text) for text in limits if text.strip().isdigit()), default=0),
    )


def network(pid: int | str, now: float) -> Network | None:
    """The network that a process sees; None when it is gone."""
    told = _text(f"{pid}/net/dev")
    if not told:
        return None
    found = proc_files.interfaces(told)
    names = [item.name for item in found]
    default = proc_files.default_interface(_text(f"{pid}/net/route"))
    if not default:
        default = USUAL if USUAL in names else "".join(names[:1])
    return Network(now, found, default)


def process(pid: int | str, name: str, now: float) -> Part | None:
    """One process as if it had a cgroup of its own; None when it is gone."""
    fields = _text(f"{pid}/stat").rpartition(")")[2].split()
    if not fields:
        return None
    user, system = (int(fields[place]) * _TICK_NANOSECONDS for place in (_UTIME, _STIME))
    resident = int(fields[_RESIDENT]) * _PAGE
    booted = proc_files.boot_time(_text("stat"))
    cgroup = Cgroup(
        at=now,
        cpu_nanoseconds=user + system,
        cpu_user_nanoseconds=user,
        cpu_system_nanoseconds=system,
        memory=Memory(
            usage_bytes=resident,
            rss_bytes=resident,
            page_faults=int(fields[_MINOR]) + int(fields[_MAJOR]),
            major_page_faults=int(fields[_MAJOR]),
        ),
        processes=1,
    )
    started = booted + int(fields[_STARTED]) * _TICK_NANOSECONDS / 1_000_000_000
    return Part(name, started, cgroup)


def peer(endpoint: str) -> int | None:
    """The process that listens on a unix socket (``unix:///PATH``); None when nobody does."""
    path = endpoint.removeprefix("unix://")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(CONNECT_SECONDS)
            probe.connect(path)
            told = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    except OSError:
        return None
    return int(_PEER.unpack(told)[0]) or None


def _text(name: str) -> str:
    try:
        return (PROC / name).read_text()
    except OSError:
        return ""
