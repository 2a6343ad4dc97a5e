"""All levels together: who may begin now, who waits, and who waits no longer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pilothouse.services.apiserver.flow.classification import (
    Digest,
    classify,
    distinguisher,
    in_order,
)
from pilothouse.services.apiserver.flow.level import Level, Ticket
from pilothouse.services.apiserver.flow.limits import share_out
from pilothouse.services.apiserver.flow.measures import Measures
from pilothouse.services.apiserver.flow.schemas import FlowSchema, PriorityLevel
from pilothouse.services.apiserver.flow.standard import standard_levels, standard_schemas
from pilothouse.services.apiserver.requests import User

# So many seats' worth of requests begin in one turn of the loop. With more, who comes fresh waits
# for several of the flood's, and nobody is served faster for it.
TURN_SEATS = 1
MEMO_MAX = 4096


class Rejected(Exception):
    """No seat, and no place to wait: ``reason`` is the word that metrics know."""

    def __init__(self, reason: str, flow: "Flow") -> None:
        super().__init__(reason)
        self.reason = reason
        self.flow = flow


@dataclass(frozen=True, slots=True)
class Flow:
    """Where a request belongs."""

    schema: str
    level: Level
    distinguisher: str
    headers: tuple[tuple[str, str], ...]


class Control:
    """Decides; ``seats`` is how many the server has in all."""

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self.levels: dict[str, Level] = {}
        self._ending: list[Level] = []
        self.schemas: Sequence[FlowSchema] = ()
        self.measures = Measures()
        self._memo: dict[tuple[object, ...], Flow] = {}
        self._budget = TURN_SEATS
        self._next_level = 0
        self.configure((), ())

    def configure(self, schemas: Iterable[FlowSchema], levels: Iterable[PriorityLevel]) -> None:
        """Go by these from now on; what must be there and is not is taken as it ships."""
        named = {level.metadata.name: level for level in standard_levels(mandatory=True)}
        named |= {level.metadata.name: level for level in levels}
        limits = share_out(list(named.values()), self.seats)
        for name, spec in named.items():
            level = self.levels.get(name)
            if level is None:
                self.levels[name] = Level(spec, limits[name])
            else:
                level.configure(spec, limits[name])
        for name in [name for name in self.levels if name not in named]:
            # Who waits there still gets a turn; nobody new finds it.
            self._ending.append(self.levels.pop(name))
        known = {schema.metadata.name: schema for schema in standard_schemas(mandatory=True)}
        known |= {schema.metadata.name: schema for schema in schemas}
        self.schemas = in_order(
            schema
            for schema in known.values()
            if schema.spec.priority_level_configuration.name in self.levels
        )
        self._memo.clear()

    def flow(self, user: User, digest: Digest) -> Flow:
        """Where a request belongs; the last resort is the level ``catch-all``."""
        key = (user.name, user.groups, digest)
        found = self._memo.get(key)
        if found is None:
            if len(self._memo) >= MEMO_MAX:
                self._memo.clear()
            found = self._memo[key] = self._classified(user, digest)
        return found

    def _classified(self, user: User, digest: Digest) -> Flow:
        schema = classify(self.schemas, user, digest) or self.schemas[-1]
        level = self.levels[schema.spec.priority_level_configuration.name]
        headers = (
            ("X-Kubernetes-PF-FlowSchema-UID", schema.metadata.uid),
            ("X-Kubernetes-PF-PriorityLevel-UID", level.uid),
        )
        told = distinguisher(schema, user, digest.namespace)
        return Flow(schema.metadata.name, level, told, headers)

    def arrive(self, flow: Flow, width: int, now: float) -> Ticket:
        """A ticket, ``running`` or ``waiting``.

        Raises:
            Rejected: ``queue-full``, or ``concurrency-limit`` where nobody may wait.
        """
        level = flow.level
        ticket = Ticket(level, flow.schema, width, now)
        free = level.exempt or (not level.inqueue and level.fits(width, self._lent(level)))
        if free and (level.exempt or level.queuing is None or self._budget > 0):
            if not level.exempt:
                self._budget -= width
            level.take(ticket)
            self.measures.began(level.name, flow.schema, width)
            return ticket
        if not level.enqueue(ticket, flow.distinguisher):
            reason = "concurrency-limit" if level.queuing is None else "queue-full"
            self.measures.rejected(level.name, flow.schema, reason)
            raise Rejected(reason, flow)
        self.measures.queued(level.name, flow.schema)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """A running ticket's seats are free again; one that is done already changes nothing."""
        if ticket.state == "running":
            ticket.level.give_back(ticket)
            self.measures.ended(ticket.level.name, ticket.schema, ticket.width)

    def give_up(self, ticket: Ticket, reason: str) -> None:
        """A waiting ticket waits no longer: ``time-out`` or ``cancelled``."""
        if ticket.state == "waiting":
            ticket.level.abandon(ticket)
            self.measures.dequeued(ticket.level.name, ticket.schema)
            self.measures.rejected(ticket.level.name, ticket.schema, reason)

    def turn(self, now: float) -> list[Ticket]:
        """A new turn of the loop: who, of those that wait, begins now."""
        self._budget = TURN_SEATS
        begun: list[Ticket] = []
        self._ending = [level for level in self._ending if level.inqueue]
        levels = [*self.levels.values(), *self._ending]
        idle = 0
        while self._budget > 0 and idle < len(levels):
            level = levels[self._next_level % len(levels)]
            self._next_level = (self._next_level + 1) % len(levels)
            ticket = level.next(self._lent(level)) if level.inqueue else None
            if ticket is None:
                idle += 1
                continue
            idle = 0
            self._budget -= ticket.width
            self.measures.dequeued(level.name, ticket.schema)
            self.measures.began(level.name, ticket.schema, ticket.width, now - ticket.arrived)
            begun.append(ticket)
        return begun

    @property
    def spent(self) -> bool:
        """Whether this turn has begun anything."""
        return self._budget < TURN_SEATS

    def waiting(self) -> bool:
        """Whether somebody could begin in the next turn."""
        return any(level.inqueue for level in (*self.levels.values(), *self._ending))

    def _lent(self, borrower: Level) -> int:
        """The seats that the other levels lend and do not use."""
        if borrower.seats < borrower.limits.nominal:
            return 0
        lent = 0
        for level in self.levels.values():
            limits = level.limits
            if level is borrower:
                continue
            lent += max(0, min(limits.lendable, limits.nominal - level.seats))
            lent -= max(0, level.seats - limits.nominal) if not level.exempt else 0
        return max(0, lent)
