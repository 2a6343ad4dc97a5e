"""Memory and CPU of every process of ours together while two idle pods run.

Memory is the proportional share (PSS), so that shared pages count once. containerd and its shims
and the image registry are told apart: they are not ours, but a user pays for them.
"""

import asyncio
import os
from pathlib import Path

from pilothouse.ops.bench import start
from pilothouse.ops.bench.rows import Row
from pilothouse.ops.local import processes
from pilothouse.ops.local.cluster import load
from pilothouse.ops.local.status import pss_bytes
from pilothouse.ops.local.take_down import take_down
from pilothouse.services.runtime.clock import SystemClock

SETTLE_SECONDS = 10.0
WATCH_SECONDS = 30.0
K3S_MB, K3S_CPU_PERCENT = 512.0, 5.0
GOAL_MB, GOAL_CPU_PERCENT = 150.0, 2.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


async def run() -> list[Row]:
    """One row a process, and the sums beside what k3s needs."""
    clock = SystemClock()
    await asyncio.to_thread(take_down, start.CLUSTER, keep_state=False)
    try:
        await start.up()
        await start.kubectl("create", "-f", str(start.EXAMPLE))
        await start.first_answer()
        await clock.sleep(SETTLE_SECONDS)
        known = processes.remembered(start.CLUSTER.run / "pids")
        shims = [p for p in processes.running_from(start.CLUSTER.run) if "shim" in p.name]
        before = {process.pid: cpu_seconds(process.pid) for process in [*known, *shims]}
        began = clock.monotonic()
        await clock.sleep(WATCH_SECONDS)
        passed = clock.monotonic() - began
        used = {pid: (cpu_seconds(pid) - cpu) / passed * 100 for pid, cpu in before.items()}
        return _rows(known, shims, used)
    finally:
        await asyncio.to_thread(take_down, load(start.CLUSTER.name) or start.CLUSTER,
                                keep_state=False)  # fmt: skip


def _rows(
    known: list[processes.Process], shims: list[processes.Process], used: dict[int, float]
) -> list[Row]:
    memory = {process.pid: pss_bytes(process.pid) / 1e6 for process in [*known, *shims]}
    runtime = [p for p in known if p.name.startswith(("containerd", "registry"))]
    ours = [process for process in known if process not in runtime]

    def total(group: list[processes.Process], figure: dict[int, float]) -> float:
        return sum(figure[process.pid] for process in group)

    rows = [
        Row(p.name, "MB", memory[p.pid], note=f"{used[p.pid]:.2f} % CPU") for p in [*ours, *runtime]
    ]
    everything = [*known, *shims]
    return [
        *rows,
        Row("shims", "MB", total(shims, memory), note=f"{total(shims, used):.2f} % CPU"),
        Row("all of ours", "MB", total(ours, memory), theirs=K3S_MB, goal=GOAL_MB,
            note="beside k3s, which holds containerd too"),
        Row("ours, containerd and shims", "MB", total(everything, memory), theirs=K3S_MB),
        Row("CPU, all of ours", "%", total(ours, used), theirs=K3S_CPU_PERCENT,
            goal=GOAL_CPU_PERCENT),
        Row("CPU, with containerd and shims", "%", total(everything, used),
            theirs=K3S_CPU_PERCENT),
    ]  # fmt: skip


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, user and system; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
