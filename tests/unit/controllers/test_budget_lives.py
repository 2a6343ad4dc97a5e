"""Budgets while pods are evicted: the controller sees pods late and may write too late."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.services.apiserver.objects import budgets
from pilothouse.services.controllers.policy import disruption
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.kinds import pods, policy
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.policy import Budget
from pilothouse.services.machinery.objects import Metadata

NOW = 1_900_000_000.0
READY = pods.Status(phase="Running", conditions=(Condition(type="Ready", status="True"),))


class World:
    """As many pods as ``wanted``; ``cache`` is what the controller has seen of them."""

    def __init__(self, wanted, spec):
        self.wanted, self.now = wanted, NOW
        self.here = {f"p{number}" for number in range(wanted)}
        self.going, self.born = set(), wanted
        self.cache = self.shown()
        self.revision, self.read = 0, None
        metadata = {"name": "b", "namespace": "d", "generation": 1}
        self.document = {"metadata": metadata, "spec": spec, "status": {}}

    def shown(self):
        found = []
        for name in sorted(self.here | self.going):
            gone = "2026-01-01T00:00:00Z" if name in self.going else None
            found.append(Pod(metadata=Metadata(name=name, deletion_timestamp=gone), status=READY))
        return found

    def look(self):
        """The controller reads and decides."""
        budget = msgspec.convert(self.document, Budget, strict=False)
        replicas = {"owner": self.wanted} if policy.asks_controllers(budget) else {}
        self.read = (self.revision, disruption.plan(budget, self.cache, replicas, self.now).status)

    def write(self):
        """It writes what it decided, unless somebody wrote in between."""
        if self.read is not None and self.read[0] == self.revision:
            status = msgspec.to_builtins(self.read[1])
            self.document, self.revision = {**self.document, "status": status}, self.revision + 1
        self.read = None

    def evict(self, number):
        if not self.here:
            return
        name = sorted(self.here)[number % len(self.here)]
        try:
            self.document = budgets.taken(self.document, name, self.now)
        except ApiError:
            return
        self.revision += 1
        self.here.remove(name)
        self.going.add(name)

    def does(self, what, number):
        if what == "evict":
            self.evict(number)
        elif what == "end" and self.going:
            self.going.remove(sorted(self.going)[number % len(self.going)])
        elif what == "replace" and len(self.here) + len(self.going) < self.wanted:
            self.here.add(f"p{self.born}")
            self.born += 1
        elif what == "see":
            self.cache = self.shown()
        elif what == "look":
            self.look()
        elif what == "write":
            self.write()
        elif what == "sync":
            self.look()
            self.write()
        self.now += 1


EVENT = st.tuples(
    st.sampled_from(["evict", "end", "replace", "see", "look", "write", "sync"]),
    st.integers(0, 9),
)
SPEC = st.one_of(
    st.builds(lambda least: {"minAvailable": least}, st.integers(0, 6)),
    st.builds(lambda part: {"minAvailable": f"{part}%"}, st.integers(0, 100)),
    st.builds(lambda most: {"maxUnavailable": most}, st.integers(0, 6)),
    st.builds(lambda part: {"maxUnavailable": f"{part}%"}, st.integers(0, 100)),
)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 6), SPEC, st.lists(EVENT, min_size=20, max_size=60))
def test_no_eviction_leaves_fewer_healthy_pods_than_the_budget_asks_for(wanted, spec, events):
    world = World(wanted, spec)
    budget = msgspec.convert(world.document, Budget, strict=False)
    least = min(policy.expected(budget, world.cache, {"owner": wanted})[1], wanted)
    for event in events:
        before = len(world.here)
        world.does(*event)
        assert len(world.here) >= min(least, before)
    for _ in range(2):
        world.cache = world.shown()
        world.look()
        _, settled = world.read
        world.write()
    assert msgspec.convert(world.document, Budget, strict=False).status == settled
