"""``pilothouse kubelet``: the pods of one node."""

import asyncio
import sys

from pilothouse.services.kubelet.adapters import resourcing, wiring
from pilothouse.services.kubelet.adapters.observing import Counting
from pilothouse.services.kubelet.config import Config, parse
from pilothouse.services.kubelet.rest.wiring import Routes
from pilothouse.services.kubelet.rpc import node, plugins
from pilothouse.services.runtime import process
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.rpc.server import Listen, serve


async def _serve(config: Config, ready: process.Ready) -> None:
    clock = SystemClock()
    counting = Counting(config, clock)
    async with counting.mesh() as mesh, counting.runtime() as runtime:
        kubelet = wiring.build(config, mesh, runtime, counting, clock)
        listen = Listen(str(config.socket))
        runtimes = (kubelet.streams, kubelet.checkpoints)
        routes = Routes(config, kubelet.pods, kubelet.observing, runtimes, clock)
        async with (
            serve([node.service(kubelet.pods, kubelet.observing.usages, clock)], [listen]),
            routes.serve(),
            asyncio.TaskGroup() as group,
        ):
            for part in (kubelet.recorder, kubelet.node_cache, kubelet.service_cache):
                group.create_task(part.run())
            group.create_task(kubelet.references.run())
            root = config.paths.root
            group.create_task(plugins.run(kubelet.devices, kubelet.pods, root, clock))
            for local in (kubelet.pods, kubelet.manifests, kubelet.rotation):
                group.create_task(local.run())
            ready.ready()
            await kubelet.node_cache.wait_synced()
            group.create_task(kubelet.registration.run())
            await kubelet.service_cache.wait_synced()
            group.create_task(kubelet.pod_cache.run())
            await kubelet.pod_cache.wait_synced()
            kubelet.pods.complete()
            group.create_task(kubelet.shutdown.run())
            group.create_task(kubelet.housekeeping.run())


def main(argv: list[str]) -> int:
    """Run until a signal; the exit code."""
    config = parse(argv)
    for problem in resourcing.problems(config):
        sys.exit(f"kubelet: {problem}")
    return process.run(f"kubelet --node {config.node_name}", lambda ready: _serve(config, ready))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
