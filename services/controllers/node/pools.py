"""The addresses of pods as equal parts, and which of them are taken."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

MASKS = {4: 24, 6: 64}
"""Of a node's part, by IP version, where nobody says otherwise."""
BITS_MAX = 16
"""Of the number of parts, where addresses are long."""


@dataclass(frozen=True, slots=True)
class Range:
    """Addresses that nodes get parts of, each ``mask`` bits long; ValueError for what has none."""

    network: Network
    mask: int

    def __post_init__(self) -> None:
        bits = self.mask - self.network.prefixlen
        if bits < 0 or self.mask > self.network.max_prefixlen:
            raise ValueError(f"a node's part of {self.network} can not be a /{self.mask}")
        if isinstance(self.network, IPv6Network) and bits > BITS_MAX:
            raise ValueError(f"a /{self.mask} is too small a part of {self.network}")


class Pool:
    """One range; parts are given in turn, so that one set free is not given again at once."""

    def __init__(self, range_: Range, reserved: Iterable[Network] = ()) -> None:
        self.network = range_.network
        self._mask = range_.mask
        self._size = 2 ** (range_.mask - range_.network.prefixlen)
        self._used: Counter[int] = Counter()
        self._next = 0
        for network in reserved:
            self.occupy(network)

    def next_free(self) -> Network | None:
        """The part whose turn it is; None when all are taken."""
        for number in range(self._next, self._next + self._size):
            if number % self._size not in self._used:
                return self._part(number % self._size)
        return None

    def take(self, part: Network) -> None:
        """Give this one away; the turn goes on behind it."""
        self.occupy(part)
        self._next = (self._numbers(part)[-1] + 1) % self._size

    def occupy(self, network: Network) -> None:
        """All parts that share addresses with ``network`` are taken, once more if they were."""
        self._used.update(self._numbers(network))

    def release(self, network: Network) -> None:
        """The opposite of one :meth:`occupy`."""
        for number in self._numbers(network):
            self._used[number] -= 1
            if self._used[number] <= 0:
                del self._used[number]

    def _part(self, number: int) -> Network:
        step = 1 << (self.network.max_prefixlen - self._mask)
        return ip_network(f"{self.network.network_address + number * step}/{self._mask}")

    def _numbers(self, network: Network) -> range:
        if network.version != self.network.version or not network.overlaps(self.network):
            return range(0)
        shift, base = self.network.max_prefixlen - self._mask, int(self.network.network_address)
        first = max(int(network.network_address) - base, 0) >> shift
        last = (int(network.broadcast_address) - base) >> shift
        return range(first, min(last, self._size - 1) + 1)
