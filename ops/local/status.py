"""What runs of a local cluster, as a table."""

import os
from collections.abc import Iterable
from pathlib import Path

from pilothouse.ops.local import processes
from pilothouse.ops.local.cluster import Cluster
from pilothouse.ops.local.services import plan

HEADER = ("PROCESS", "PID", "STATE", "AGE", "PSS")
KIB = 1024


def rows(cluster: Cluster) -> list[tuple[str, ...]]:
    """One row for each process that should run, in the order of the plan."""
    alive = {process.name: process for process in processes.remembered(cluster.run / "pids")}
    names = ["supervisor", *(unit.name for unit in plan(cluster))]
    return [_row(name, alive.get(name)) for name in names]


def table(lines: Iterable[tuple[str, ...]]) -> str:
    """Columns as wide as their widest cell."""
    all_lines = [HEADER, *lines]
    widths = [max(len(line[column]) for line in all_lines) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in all_lines
    )


def pss_bytes(pid: int) -> int:
    """The process's proportional share of memory; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * KIB for line in lines if line.startswith("Pss:")), 0)


def _row(name: str, process: processes.Process | None) -> tuple[str, ...]:
    if process is None:
        return name, "-", "down", "-", "-"
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    age = uptime - process.born / os.sysconf("SC_CLK_TCK")
    return name, str(process.pid), "up", f"{age:.0f}s", f"{pss_bytes(process.pid) / KIB**2:.1f} MiB"
