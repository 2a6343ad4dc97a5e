"""``pilothouse cri-shim``: CRI v1 on a unix socket, on containerd's native services."""

import asyncio
import sys

from pilothouse.cri_shim.adapters import wiring
from pilothouse.cri_shim.adapters.wiring import Parts
from pilothouse.cri_shim.config import Config, parse
from pilothouse.cri_shim.rpc import images, runtime
from pilothouse.cri_shim.rpc.containers import ContainerCalls
from pilothouse.cri_shim.rpc.sandboxes import SandboxCalls
from pilothouse.cri_shim.rpc.state import StateCalls
from pilothouse.cri_shim.rpc.stats import StatsCalls
from pilothouse.cri_shim.rpc.streaming import StreamingCalls
from pilothouse.services.machinery.errors import ServiceUnavailable
from pilothouse.services.runtime import process
from pilothouse.services.runtime.clock import Clock, SystemClock
from pilothouse.services.runtime.rpc.channel import open_channel
from pilothouse.services.runtime.rpc.server import Listen, Service, serve

AGAIN_SECONDS = 0.1


async def _serve(config: Config, ready: process.Ready) -> None:
    clock = SystemClock()
    async with open_channel(config.containerd) as channel, asyncio.TaskGroup() as group:
        while True:
            try:
                parts = await wiring.build(config, channel, group, clock)
                await parts.recovery.begin()
                break
            except ServiceUnavailable:
                await clock.sleep(AGAIN_SECONDS)
        async with (
            parts.streaming.serving(config.stream_address, config.stream_port),
            serve(_services(parts, clock), [Listen(str(config.listen))]),
        ):
            ready.ready()
            await parts.recovery.run()


def _services(parts: Parts, clock: Clock) -> list[Service]:
    calls = [
        SandboxCalls(parts.sandboxes, parts.store, clock),
        ContainerCalls(parts.containers, parts.creation, parts.store),
        StateCalls(
            parts.objects, parts.network, parts.store, parts.events, parts.machine, parts.handlers
        ),
        StreamingCalls(parts.streaming, parts.commands, parts.logs, parts.store),
        StatsCalls(parts.collector, parts.store, lambda: parts.image_root),
    ]
    return [
        runtime.service(calls),
        images.service(parts.images, lambda: parts.image_root, clock),
    ]


def main(argv: list[str]) -> int:
    """Run until a signal; the exit code."""
    config = parse(argv)
    return process.run(f"cri-shim --listen {config.listen}", lambda ready: _serve(config, ready))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
