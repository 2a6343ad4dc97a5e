"""``pilothouse routes``: the way from a local cluster's control plane to its pods.

The API server proxies to pods and Services; it runs in the fabric's namespace, where nothing else
knows which node has which pods. The routes live in that namespace and go with it.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass

from pilothouse.services.proxy import node_routes
from pilothouse.services.proxy.adapters.iproute import IpRoutes
from pilothouse.services.proxy.adapters.mesh import MeshNodes
from pilothouse.services.runtime import process
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import SystemClock
from pilothouse.services.runtime.rpc.channel import open_channel


@dataclass(frozen=True, slots=True)
class Config:
    """``server`` is the mesh: ``unix:///PATH``."""

    server: str


def parse(argv: list[str]) -> Config:
    """Flags; exits on a wrong one."""
    parser = argparse.ArgumentParser(prog="pilothouse routes", description=__doc__)
    parser.add_argument("--server", required=True, help="the mesh: unix:///PATH")
    return Config(parser.parse_args(argv).server)


async def _run(config: Config, ready: process.Ready) -> None:
    clock = SystemClock()
    async with open_channel(config.server) as channel, asyncio.TaskGroup() as group:
        nodes = MeshNodes(Objects(channel), clock)
        group.create_task(nodes.run())
        ready.ready()
        await nodes.wait_synced()
        await node_routes.follow(nodes, IpRoutes(), node="", clock=clock)


def main(argv: list[str]) -> int:
    """Keep the routes until a signal; the exit code."""
    config = parse(argv)
    return process.run("routes", lambda ready: _run(config, ready))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
