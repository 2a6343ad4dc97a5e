"""Pods whose node was chosen and whose claims do not have their volumes yet."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pilothouse.services.machinery.kinds import binding
from pilothouse.services.machinery.kinds.volumes import Claim
from pilothouse.services.machinery.objects import Key
from pilothouse.services.scheduler.volumetable import is_bound

PATIENCE_SECONDS = 600.0
"""How long a node is kept for a pod while its volumes are made."""

T = TypeVar("T")


@dataclass(slots=True)
class _Waiting(Generic[T]):
    what: T
    until: float
    claims: set[Key]
    selected: set[Key] = field(default_factory=set)


class Preparing(Generic[T]):
    """``T`` is whatever is to be done when the claims of a pod are bound. Knows no clock."""

    def __init__(self) -> None:
        self._pods: dict[Key, _Waiting[T]] = {}
        self._ready: list[T] = []

    def __len__(self) -> int:
        return len(self._pods)

    def add(self, pod: Key, what: T, claims: Iterable[Key], now: float) -> None:
        """The pod waits for these claims."""
        self._pods[pod] = _Waiting(what, now + PATIENCE_SECONDS, set(claims))

    def drop(self, pod: Key) -> None:
        """It waits no more."""
        self._pods.pop(pod, None)

    def seen(self, claim: Claim) -> list[T]:
        """The claim is like this now; for whom it went wrong: nobody will make its volume."""
        key, failed = claim.metadata.key, []
        is_selected = binding.SELECTED_NODE in claim.metadata.annotations
        for pod, waiting in list(self._pods.items()):
            if key not in waiting.claims:
                continue
            if is_bound(claim):
                waiting.claims.discard(key)
                if not waiting.claims:
                    del self._pods[pod]
                    self._ready.append(waiting.what)
            elif is_selected:
                waiting.selected.add(key)
            elif key in waiting.selected:
                # Who was to make it gave the choice of the node back.
                del self._pods[pod]
                failed.append(waiting.what)
        return failed

    def pop(self) -> T | None:
        """The next whose claims are bound."""
        return self._ready.pop(0) if self._ready else None

    def overdue(self, now: float) -> list[T]:
        """Those that waited in vain; they wait no more."""
        late = [pod for pod, waiting in self._pods.items() if waiting.until <= now]
        return [self._pods.pop(pod).what for pod in late]

    def next_due(self) -> float | None:
        """When the first will have waited in vain."""
        return min((waiting.until for waiting in self._pods.values()), default=None)
