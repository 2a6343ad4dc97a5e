"""Ports of nodes that pods hold: found by port, so that a pod asks only about its own."""

from collections import Counter
from collections.abc import Iterable, Iterator

from pilothouse.services.scheduler.candidate import HostPort

EVERY_ADDRESS = "0.0.0.0"


class HostPorts:
    """Who holds what; a port may be counted twice where two pods were bound past the scheduler."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], dict[str, Counter[str]]] = {}

    def take(self, node: str, ports: Iterable[HostPort]) -> None:
        """A pod on ``node`` holds ``ports``."""
        for port in ports:
            nodes = self._held.setdefault((port.protocol, port.port), {})
            nodes.setdefault(node, Counter())[port.ip] += 1

    def release(self, node: str, ports: Iterable[HostPort]) -> None:
        """It no longer does."""
        for port in ports:
            nodes = self._held[port.protocol, port.port]
            nodes[node][port.ip] -= 1
            if not nodes[node][port.ip]:
                del nodes[node][port.ip]
            if not nodes[node]:
                del nodes[node]

    def holders(self, wanted: HostPort) -> Iterator[str]:
        """The nodes on which ``wanted`` can not be had."""
        for node, addresses in self._held.get((wanted.protocol, wanted.port), {}).items():
            if wanted.ip == EVERY_ADDRESS or wanted.ip in addresses or EVERY_ADDRESS in addresses:
                yield node
