"""``pilothouse kubelet``: the pods of one node."""

import asyncio
import sys

from pilothouse.services.kubelet.adapters import wiring
from pilothouse.services.kubelet.config import Config, parse
from pilothouse.services.kubelet.rest import server
from pilothouse.services.kubelet.rest.streaming import Streaming
from pilothouse.services.kubelet.rpc import node
from pilothouse.services.runtime import process
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.rpc.channel import open_channel
from pilothouse.services.runtime.rpc.server import Listen, serve


async def _serve(config: Config, ready: process.Ready) -> None:
    clock = SystemClock()
    async with (
        open_channel(config.server, config.identity) as mesh,
        open_channel(config.runtime_endpoint) as runtime,
    ):
        kubelet = wiring.build(config, mesh, runtime, clock)
        listen = Listen(str(config.socket))
        streaming = Streaming(kubelet.pods, kubelet.streams, clock)
        async with (
            serve([node.service(kubelet.pods)], [listen]),
            server.serve(config.serving, kubelet.pods, streaming),
            asyncio.TaskGroup() as group,
        ):
            for part in (kubelet.recorder, kubelet.node_cache, kubelet.service_cache):
                group.create_task(part.run())
            for local in (kubelet.pods, kubelet.manifests, kubelet.rotation):
                group.create_task(local.run())
            ready.ready()
            await kubelet.node_cache.wait_synced()
            group.create_task(kubelet.registration.run())
            await kubelet.service_cache.wait_synced()
            group.create_task(kubelet.pod_cache.run())
            await kubelet.pod_cache.wait_synced()
            kubelet.pods.complete()


def main(argv: list[str]) -> int:
    """Run until a signal; the exit code."""
    config = parse(argv)
    return process.run(f"kubelet --node {config.node_name}", lambda ready: _serve(config, ready))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
