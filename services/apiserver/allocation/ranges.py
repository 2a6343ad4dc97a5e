"""Where cluster addresses come from: the networks of every ServiceCIDR that is ready.

An address stays held, and can be given back, whatever becomes of its network.
"""

import ipaddress
import secrets
from collections.abc import Hashable, Iterator, Sequence

import msgspec
from typing_extensions import override

from pilothouse.services.apiserver.allocation.pool import Exhausted, Pool, band
from pilothouse.services.apiserver.requests import Stored

_ADDRESSES = 1 << 32
_BAND_PARTS = 16
_BAND_MOST = 256


class _Metadata(msgspec.Struct):
    name: str
    deletion_timestamp: str | None = msgspec.field(name="deletionTimestamp", default=None)


class _Spec(msgspec.Struct):
    cidrs: Sequence[str] = ()


class _Condition(msgspec.Struct):
    type: str
    status: str


class _Status(msgspec.Struct):
    conditions: Sequence[_Condition] = ()


class _Range(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


class Addresses(Pool):
    """Every IPv4 address and who holds it; chosen only from ranges that are ready.

    ``network`` is the server's own, until a ServiceCIDR is there.
    """

    def __init__(self, network: str) -> None:
        holders: dict[int, Hashable] = {}
        super().__init__(0, _ADDRESSES - 1, holders=holders)
        self._shared = holders
        self._own = self._pools((network,))
        self._ranges: dict[str, tuple[dict[str, Pool], bool]] = {}

    def observe_range(self, old: Stored | None, new: Stored | None) -> None:
        """A ServiceCIDR appeared, changed or went; for ``KindCache.subscribe``."""
        if new is None:
            if old is not None:
                self._ranges.pop(old.key.name, None)
            return
        found = msgspec.json.decode(new.json, type=_Range)
        ready = found.metadata.deletion_timestamp is None and all(
            each.status == "True" for each in found.status.conditions if each.type == "Ready"
        )
        self._ranges[new.key.name] = (self._pools(found.spec.cidrs), ready)

    def network_of(self, number: int) -> str:
        """A ready network that the address is in, be it one that may be given or not; or empty."""
        for text in self._ready():
            network = ipaddress.IPv4Network(text)
            if ipaddress.IPv4Address(number) in network:
                return text
        return ""

    def may_give(self, number: int) -> bool:
        """Whether it is in a ready range, and not its network's own address."""
        return any(number in pool for pool in self._ready().values())

    @override
    def choose(self, holder: Hashable) -> int:
        """Hold a free address of any range that is ready; Exhausted when there is none."""
        pools = list(self._ready().values())
        start = secrets.randbelow(len(pools)) if pools else 0
        for pool in (*pools[start:], *pools[:start]):
            try:
                return pool.choose(holder)
            except Exhausted:
                continue
        raise Exhausted

    def _ready(self) -> dict[str, Pool]:
        if not self._ranges:
            return self._own
        return {
            text: pool
            for pools, ready in self._ranges.values()
            if ready
            for text, pool in pools.items()
        }

    def _pools(self, cidrs: Sequence[str]) -> dict[str, Pool]:
        return {str(network): self._pool(network) for network in _networks(cidrs)}

    def _pool(self, network: ipaddress.IPv4Network) -> Pool:
        first, last = int(network.network_address) + 1, int(network.broadcast_address) - 1
        kept = band(last - first + 1, _BAND_PARTS, _BAND_MOST)
        return Pool(first, last, first + kept, self._shared)


def _networks(cidrs: Sequence[str]) -> Iterator[ipaddress.IPv4Network]:
    """Those of IPv4, which is all that this cluster has."""
    for text in cidrs:
        try:
            yield ipaddress.IPv4Network(text)
        except ValueError:
            continue
