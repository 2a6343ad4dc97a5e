"""How fast the nodes of a zone may lose their pods: the more of them are silent, the likelier it is
the network or the control plane itself that fails, and not they.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum

# Fewer silent nodes than this are no disruption of a zone, whatever part of it they are.
NOT_READY_MIN = 3


class State(Enum):
    """Of a zone, under upstream's names."""

    NORMAL = "Normal"
    PARTIAL = "PartialDisruption"
    FULL = "FullDisruption"


@dataclass(frozen=True, slots=True)
class Census:
    """How many nodes of a zone are ready, and how many are not."""

    ready: int = 0
    not_ready: int = 0

    @property
    def size(self) -> int:
        return self.ready + self.not_ready

    @property
    def health_percent(self) -> float:
        """Of its nodes; a zone without nodes is well."""
        return 100.0 * self.ready / self.size if self.size else 100.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Nodes a second, as kube-controller-manager's flags of these names say."""

    eviction: float = 0.1
    secondary: float = 0.01
    unhealthy_threshold: float = 0.55
    large_cluster: int = 50


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a node may be silent, its first ones among them; how fast zones lose pods."""

    grace: float = 50.0
    startup_grace: float = 60.0
    rates: Rates = field(default_factory=Rates)


def state(census: Census, rates: Rates) -> State:
    """What the number of its silent nodes says of the zone."""
    if census.ready == 0 and census.not_ready > 0:
        return State.FULL
    many = census.not_ready >= NOT_READY_MIN
    if many and census.not_ready / census.size >= rates.unhealthy_threshold:
        return State.PARTIAL
    return State.NORMAL


def rate(census: Census, rates: Rates) -> float:
    """Nodes a second that may lose their pods; 0 stops it."""
    if state(census, rates) is not State.PARTIAL:
        return rates.eviction
    return rates.secondary if census.size > rates.large_cluster else 0.0


def is_all_disrupted(zones: Collection[Census], rates: Rates) -> bool:
    """Whether nobody is heard of: then it is not them, and no pod goes."""
    known = [census for census in zones if census.size]
    return bool(known) and all(state(census, rates) is State.FULL for census in known)
