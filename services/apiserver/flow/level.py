"""One priority level: its seats, and the queues of those who wait for one."""

from collections import deque
from collections.abc import Iterator
from typing import Literal

from pilothouse.services.apiserver.flow.limits import Limits
from pilothouse.services.apiserver.flow.schemas import PriorityLevel, Queuing
from pilothouse.services.apiserver.flow.shuffling import hand_of

# What a queue that was empty is ahead of those that were served meanwhile.
FRESH_SEATS = 1.0

State = Literal["waiting", "running", "done"]


class Ticket:
    """One request's place: waiting or running. ``width`` is the seats it takes."""

    __slots__ = ("arrived", "distinguisher", "level", "queue", "schema", "state", "wake", "width")

    def __init__(self, level: "Level", schema: str, width: int, arrived: float) -> None:
        self.level = level
        self.schema = schema
        self.width = width
        self.arrived = arrived
        self.state: State = "running"
        self.queue = -1
        self.distinguisher = ""
        self.wake: object = None


class Queue:
    """Tickets in the order of their arrival, and how much this queue has been given so far."""

    __slots__ = ("executing", "given", "seats", "waiting")

    def __init__(self, given: float) -> None:
        self.waiting: deque[Ticket] = deque()
        self.given = given
        self.seats = 0
        self.executing = 0


class Level:
    """Seats in use and queues. Fair: the queue that was given least so far is served next."""

    def __init__(self, spec: PriorityLevel, limits: Limits) -> None:
        self.queues: dict[int, Queue] = {}
        self.seats = 0
        self.executing = 0
        self.inqueue = 0
        self._given = 0.0
        self.configure(spec, limits)

    def configure(self, spec: PriorityLevel, limits: Limits) -> None:
        """Take a new specification; who waits goes on waiting where it is."""
        self.name = spec.metadata.name
        self.uid = spec.metadata.uid
        self.exempt = spec.spec.type == "Exempt"
        self.limits = limits
        response = spec.spec.limited.limit_response if spec.spec.limited else None
        self.queuing: Queuing | None = None
        if response is not None and response.type == "Queue":
            self.queuing = response.queuing or Queuing()

    def fits(self, width: int, lent: int) -> bool:
        """Whether ``width`` more seats are free; ``lent`` is what others have to lend now.

        Somebody always may run, however wide.
        """
        if self.exempt:
            return True
        wanted = self.seats + width
        if wanted <= self.limits.nominal:
            return True
        if not self.seats and self.limits.upper:
            return True
        return wanted <= self.limits.upper and wanted - self.limits.nominal <= lent

    def take(self, ticket: Ticket) -> None:
        """Let ``ticket`` run."""
        ticket.state = "running"
        self.seats += ticket.width
        self.executing += 1

    def give_back(self, ticket: Ticket) -> None:
        """``ticket`` is done."""
        ticket.state = "done"
        self.seats -= ticket.width
        self.executing -= 1
        queue = self.queues.get(ticket.queue)
        if queue is not None:
            queue.executing -= ticket.width
            self._forget(ticket.queue, queue)

    def enqueue(self, ticket: Ticket, distinguisher: str) -> bool:
        """Have ``ticket`` wait in the shortest queue of its flow; False when that is full."""
        queuing = self.queuing
        if queuing is None:
            return False
        hand = hand_of(ticket.schema, distinguisher, queuing.queues, queuing.hand_size)
        index = min(hand, key=self._load)
        queue = self.queues.get(index)
        if queue is None:
            queue = self.queues[index] = Queue(self._given - FRESH_SEATS)
        if len(queue.waiting) >= queuing.queue_length_limit:
            return False
        if not queue.waiting:
            # Who comes fresh goes first; beyond that, nobody saves up what it did not use.
            queue.given = max(queue.given, self._given - FRESH_SEATS)
        queue.waiting.append(ticket)
        queue.seats += ticket.width
        ticket.queue = index
        ticket.distinguisher = distinguisher
        ticket.state = "waiting"
        self.inqueue += 1
        return True

    def next(self, lent: int) -> Ticket | None:
        """Whose turn it is, running from now on; None when nobody waits or nobody fits."""
        best = min(self._waiting(), key=_turn, default=None)
        if best is None:
            return None
        _, queue = best
        ticket = queue.waiting[0]
        if not self.fits(ticket.width, lent):
            return None
        queue.waiting.popleft()
        queue.seats -= ticket.width
        queue.executing += ticket.width
        self._given = max(self._given, queue.given)
        queue.given += ticket.width
        self.inqueue -= 1
        self.take(ticket)
        return ticket

    def abandon(self, ticket: Ticket) -> None:
        """``ticket`` waits no longer."""
        queue = self.queues[ticket.queue]
        queue.waiting.remove(ticket)
        queue.seats -= ticket.width
        ticket.state = "done"
        self.inqueue -= 1
        self._forget(ticket.queue, queue)

    def _waiting(self) -> Iterator[tuple[int, Queue]]:
        return ((index, queue) for index, queue in self.queues.items() if queue.waiting)

    def _load(self, index: int) -> int:
        queue = self.queues.get(index)
        return 0 if queue is None else queue.seats + queue.executing

    def _forget(self, index: int, queue: Queue) -> None:
        if not self.inqueue and not self.executing:
            self.queues.clear()
        elif not queue.waiting and queue.executing <= 0 and queue.given <= self._given:
            del self.queues[index]


def _turn(entry: tuple[int, Queue]) -> tuple[float, float, int]:
    index, queue = entry
    return queue.given + queue.waiting[0].width, queue.waiting[0].arrived, index
