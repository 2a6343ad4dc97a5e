"""``pilothouse simulate``: many nodes in one process."""

import gc
import sys

from pilothouse.services.kubelet.adapters.hollow.gate import GatedObjects
from pilothouse.services.kubelet.hollow.config import Config, parse
from pilothouse.services.kubelet.hollow.fleet import Fleet
from pilothouse.services.runtime import process
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.rpc.channel import open_channel

YOUNG_OBJECTS = 20_000
"""Between two looks for unreachable ones; nearly all live as long as their node or pod."""


async def run(config: Config, ready: process.Ready) -> None:
    """Simulate until cancelled."""
    async with open_channel(config.server, config.identity) as mesh:
        objects = GatedObjects(mesh)
        ready.ready()
        await objects.gather_beside(Fleet(config, objects, SystemClock()).run())


def main(argv: list[str]) -> int:
    """Run until a signal; the exit code."""
    config = parse(argv)
    gc.set_threshold(YOUNG_OBJECTS)
    title = f"simulate --nodes {config.nodes}"
    return process.run(title, lambda ready: run(config, ready), log_level="warning")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
