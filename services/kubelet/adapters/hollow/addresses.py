"""Addresses of simulated pods: a node's own range, or one that all nodes share until it has one."""

import asyncio
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network

from pilothouse.services.machinery.errors import ServiceUnavailable

RESERVED = 2
"""The network's own address and its gateway's, at the start of each range."""
RANGE_SECONDS_MAX = 3.0
"""How long a node's first pods wait for its range; without a node IPAM controller none comes."""


class Pool:
    """The addresses of one range, each in its turn so that a freed one rests for long."""

    def __init__(self, network: IPv4Network) -> None:
        self._network = network
        self._size = network.num_addresses - RESERVED - 1
        self._next = 0
        self._taken: set[int] = set()

    def take(self) -> str:
        """A free one; ServiceUnavailable when there is none."""
        if len(self._taken) >= self._size:
            raise ServiceUnavailable(f"no address is left in {self._network}")
        while self._next in self._taken:
            self._next = (self._next + 1) % self._size
        self._taken.add(self._next)
        found = self._network.network_address + RESERVED + self._next
        self._next = (self._next + 1) % self._size
        return str(found)

    def give_back(self, address: str) -> bool:
        """Whether it is of this range; fine when it was free."""
        found = ip_address(address)
        if found not in self._network or not isinstance(found, IPv4Address):
            return False
        self._taken.discard(int(found) - int(self._network.network_address) - RESERVED)
        return True


class NodeAddresses:
    """What the pods of one node get."""

    def __init__(self, shared: Pool) -> None:
        self._shared = shared
        self._pool: Pool | None = None
        self._cidr = ""
        self._known = asyncio.Event()

    def configure(self, cidr: str) -> None:
        """The node's ``spec.podCIDR``; IPv6 ones are not simulated."""
        network = ip_network(cidr)
        if cidr == self._cidr or not isinstance(network, IPv4Network):
            return
        self._cidr, self._pool = cidr, Pool(network)
        self._known.set()

    async def take(self) -> str:
        """An address for one pod; of the shared range when the node's own does not come."""
        try:
            async with asyncio.timeout(RANGE_SECONDS_MAX):
                await self._known.wait()
        except TimeoutError:
            self._known.set()
        return (self._pool or self._shared).take()

    def give_back(self, address: str) -> None:
        """It may be given to another."""
        if self._pool is None or not self._pool.give_back(address):
            self._shared.give_back(address)
