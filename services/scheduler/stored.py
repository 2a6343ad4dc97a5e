"""What is told of claims, volumes and classes, and who is decided on because of it."""

from collections.abc import Callable

from pilothouse.services.machinery.kinds.volumes import Claim
from pilothouse.services.machinery.objects import Key
from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.queue import Change, Queue
from pilothouse.services.scheduler.volumetable import VolumeTable

Priorities = dict[Key, int]


class Stored:
    """Knows which waiting pods want which claim; pods without claims never come here."""

    def __init__(
        self, table: VolumeTable, queue: Queue, seen: Callable[[Claim, float], None]
    ) -> None:
        """``seen`` is told of every claim before those who want it are decided on."""
        self._table = table
        self._queue = queue
        self._seen = seen
        self._wanting: dict[Key, Priorities] = {}

    def want(self, pod: Candidate) -> None:
        """The pod waits for a node."""
        for need in pod.claims:
            self._wanting.setdefault(need.claim, {})[pod.key] = pod.priority

    def unwant(self, pod: Candidate) -> None:
        """It waits no more."""
        for need in pod.claims:
            wanting = self._wanting.get(need.claim, {})
            wanting.pop(pod.key, None)
            if not wanting:
                self._wanting.pop(need.claim, None)

    def put_claim(self, claim: Claim, now: float) -> None:
        """A claim is there, or changed: who wants it is decided on at once."""
        self._table.claims[claim.metadata.key] = claim
        self._seen(claim, now)
        for key, priority in self._wanting.get(claim.metadata.key, {}).items():
            self._queue.add(key, priority)

    def change(self, change: Callable[[VolumeTable], None], now: float) -> None:
        """Volumes, classes or claims changed in a way that may help whoever waits for some."""
        change(self._table)
        self._queue.move(Change.VOLUME, now)
