"""``pilothouse proxy``: Service traffic of one node."""

import asyncio
import sys

from pilothouse.services.proxy import node_routes, routes
from pilothouse.services.proxy.adapters import sysctls
from pilothouse.services.proxy.adapters.iproute import Conntrack, IpRoutes
from pilothouse.services.proxy.adapters.mesh import MeshNodes, MeshServices
from pilothouse.services.proxy.adapters.nftables import Library, Nftables
from pilothouse.services.proxy.config import Config, parse
from pilothouse.services.proxy.proxier import Proxier
from pilothouse.services.proxy.rpc import rules
from pilothouse.services.runtime import process
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.rpc.channel import open_channel
from pilothouse.services.runtime.rpc.server import Listen, serve


async def _serve(config: Config, ready: process.Ready) -> None:
    clock = SystemClock()
    cidr = config.cluster_cidr
    kernel = Nftables(Library(), cluster_cidr=cidr, nodeport_addresses=config.nodeport_addresses)
    sysctls.set_wanted()
    async with open_channel(config.server, config.identity) as channel:
        objects = Objects(channel)
        services, nodes = MeshServices(objects, clock), MeshNodes(objects, clock)
        proxier = Proxier(services, kernel, Conntrack(), node=config.node_name, cluster_cidr=cidr)
        nodes.on_zone(config.node_name, proxier.move, services.touch_all)
        listen = Listen(str(config.socket))
        async with serve([rules.service(proxier)], [listen]), asyncio.TaskGroup() as group:
            group.create_task(services.run())
            group.create_task(nodes.run())
            ready.ready()
            await services.wait_synced()
            group.create_task(proxier.run(clock))
            if config.node_routes:
                await nodes.wait_synced()
                await node_routes.follow(nodes, IpRoutes(), node=config.node_name, clock=clock)


async def _clean_up(_: process.Ready) -> None:
    await Nftables(Library(), cluster_cidr="").clean_up()
    kernel = IpRoutes()
    await kernel.apply(routes.plan(frozenset(), await kernel.installed()))


def main(argv: list[str]) -> int:
    """Run until a signal, or clean up; the exit code."""
    config = parse(argv)
    if config.cleanup:
        return process.run("proxy --cleanup", _clean_up)
    title = f"proxy --node {config.node_name}"
    return process.run(title, lambda ready: _serve(config, ready))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
