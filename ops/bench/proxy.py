"""The proxy's table: 5,000 Services in a real kernel, in a network namespace of its own."""

import asyncio
import os
import threading
from dataclasses import replace
from pathlib import Path
from statistics import median

from pilothouse.ops.bench.rows import Row
from pilothouse.ops.local import kernel
from pilothouse.services.machinery.objects import Key
from pilothouse.services.proxy.adapters.nftables import Library, Nftables
from pilothouse.services.proxy.changes import Table
from pilothouse.services.proxy.contents import contents
from pilothouse.services.proxy.rules import Backend, PortRule
from pilothouse.services.runtime.clock import Clock, SystemClock

SERVICES = 5000
CHANGES = 50
CLUSTER_CIDR = "10.244.0.0/16"


def rule(number: int, endpoints: int) -> PortRule:
    """A Service of one port, each with endpoints of its own."""
    high, low = divmod(number, 250)
    found = tuple(Backend(f"10.{244 + i}.{high}.{low}", 8080) for i in range(endpoints))
    return PortRule(
        "default", f"web-{number}", "http", "tcp", f"10.96.{high}.{low}", 80,
        node_port=30000 + number % 2767 if number < 2767 else 0,  # noqa: PLR2004 - ports there are
        endpoints=found, local=found,
    )  # fmt: skip


async def run() -> list[Row]:
    """Load, change, and load anew beside what is there."""
    netns = Path("/run/netns") / f"pilothouse-bench-{os.getpid()}"
    netns.parent.mkdir(exist_ok=True)
    kernel.make_netns(netns)
    try:
        return await _measure(_open(netns), SystemClock())
    finally:
        kernel.unmount(str(netns))
        netns.unlink()


def _open(netns: Path) -> Nftables:
    """A table in ``netns``: its netlink socket belongs to the namespace of the thread it is of."""
    opened: list[Library] = []

    def enter() -> None:
        kernel.enter_netns(netns)
        opened.append(Library())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return Nftables(opened[0], cluster_cidr=CLUSTER_CIDR)


async def _measure(nftables: Nftables, clock: Clock) -> list[Row]:
    table = Table()
    began = clock.monotonic()
    table.replace(
        {Key("default", f"web-{n}"): contents([rule(n, 2)], CLUSTER_CIDR) for n in range(SERVICES)}
    )
    planned = clock.monotonic()
    await nftables.load(table.contents())
    loaded = clock.monotonic()
    took = [await _change(nftables, table, number, clock) for number in range(CHANGES)]
    again = clock.monotonic()
    await nftables.load(table.contents())
    name = f"{SERVICES:,} Services of 2 endpoints"
    return [
        Row(f"{name}: plan", "ms", (planned - began) * 1000),
        Row(f"{name}: into the kernel", "ms", (loaded - planned) * 1000),
        Row(f"{name}: replaced at a restart", "ms", (clock.monotonic() - again) * 1000),
        Row(
            "one endpoint changes among them, rules in the kernel", "ms", median(took) * 1000,
            theirs=1300, goal=20, note="theirs: nftables kube-proxy at 44,000 Services",
        ),
        Row("the slowest of those changes", "ms", max(took) * 1000, goal=20),
    ]  # fmt: skip


async def _change(nftables: Nftables, table: Table, number: int, clock: Clock) -> float:
    await asyncio.sleep(0)
    began = clock.monotonic()
    changed = replace(rule(number, 2), endpoints=rule(number, 3).endpoints)
    wanted = {Key("default", f"web-{number}"): contents([changed], CLUSTER_CIDR)}
    await nftables.change(table.replace(wanted))
    return clock.monotonic() - began
