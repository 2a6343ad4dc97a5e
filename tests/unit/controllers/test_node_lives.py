"""What is said of nodes and their pods when they come, fall silent, and go; and what that costs."""

import pytest
from msgspec.structs import replace

from pilothouse.services.controllers.adapters.node import nodes as adapter
from pilothouse.services.controllers.adapters.node import orphans
from pilothouse.services.controllers.node.podgc import ORPHANED, PodGCController
from pilothouse.services.controllers.node.zones import Patience
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.nodes import (
    LEASE_NAMESPACE,
    Lease,
    LeaseSpec,
    Node,
    Status,
    Taint,
)
from pilothouse.services.machinery.kinds.nodes import Spec as NodeSpec
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key, Metadata
from pilothouse.services.machinery.resources import LEASES, NODES, PODS

NOW = 1_900_000_000.0


class Cache:
    """Objects as they are told of."""

    def __init__(self):
        self.items = {}
        self.handlers = []

    def get(self, key):
        return self.items.get(key)

    def values(self):
        return list(self.items.values())

    def __len__(self):
        return len(self.items)

    def on_change(self, handler):
        self.handlers.append(handler)

    def add_index(self, name, indexer):
        pass

    def by_index(self, name, value):
        return [item for item in self.items.values() if item.spec.node_name == value]

    def hear(self, new, key=None):
        key = key or new.metadata.key
        old = self.items.pop(key, None)
        if new is not None:
            self.items[key] = new
        for handler in self.handlers:
            handler(old, new)


class World:
    """One cache for each kind, a clock that stands, and what is written and noted."""

    def __init__(self):
        self.objects = self.clock = self
        self.caches = {resource: Cache() for resource in (NODES, PODS, LEASES)}
        self.at = NOW
        self.written = []
        self.notes = []
        self.gone = set()

    def cache(self, resource, view):
        return self.caches[resource]

    def recorder(self, name):
        return self

    def now(self):
        return self.at

    monotonic = now

    def note(self, about, type_, reason, message):
        self.notes.append((about.kind, about.name, type_, reason, message))

    async def patch(self, resource, key, body, *, subresource="", strategic=False):
        self.written.append((key.name, subresource, body))
        return '{"metadata": {"resourceVersion": "2"}}'

    async def get(self, resource, key):
        if key.name in self.gone:
            raise NotFound("no")
        return "{}"

    async def delete(self, resource, key, **options):
        self.written.append((key.name, "delete", options))


def node(name="a", *, ready="True", born=NOW - 5, heard="2026-01-01T00:00:00Z", labels=None):
    told = (Condition(type="Ready", status=ready, reason="K", last_heartbeat_time=heard),)
    return Node(
        metadata=Metadata(
            name=name,
            uid=f"uid-{name}",
            labels=labels or {},
            creation_timestamp=timestamps.render(born),
        ),
        status=Status(conditions=told if ready else ()),
    )


def pod(name="p", *, ready="True", phase="Running", generation=0):
    told = Condition(type="Ready", status=ready, reason="Why", last_transition_time="x")
    return Pod(
        metadata=Metadata(name=name, namespace="ns", uid=name, generation=generation),
        spec=pods.Spec(node_name="a"),
        status=pods.Status(phase=phase, conditions=(told, Condition(type="Other", status="True"))),
    )


def lease(name, time):
    return Lease(
        metadata=Metadata(name=name, namespace=LEASE_NAMESPACE), spec=LeaseSpec(renew_time=time)
    )


@pytest.fixture
def world():
    return World()


@pytest.fixture
async def lifecycle(world):
    made = adapter.lifecycle(world, Patience())
    world.caches[NODES].hear(node("other"))
    return made.loop


async def look(lifecycle, name="a"):
    return await lifecycle._reconciler.reconcile(Key("", name))


async def test_people_are_told_of_nodes_that_come_and_go(world, lifecycle):
    world.caches[NODES].hear(node())
    await look(lifecycle)
    await look(lifecycle)
    came = "Node a event: Registered Node a in Controller"
    assert world.notes == [("Node", "a", "Normal", "RegisteredNode", came)]
    world.caches[NODES].hear(None, Key("", "a"))
    await look(lifecycle)
    await look(lifecycle)
    went = "Node a event: Removing Node a from Controller"
    assert world.notes[1:] == [("Node", "a", "Normal", "RemovingNode", went)]


async def test_nodes_that_were_there_long_before_are_not_told_of_anew(world, lifecycle):
    world.caches[NODES].hear(node(born=NOW - 7200))
    await look(lifecycle)
    assert not world.notes


async def test_pods_of_a_node_that_fell_silent_are_not_ready_and_nothing_else_changes(
    world, lifecycle
):
    world.caches[NODES].hear(node(born=NOW - 7200))
    world.caches[PODS].hear(pod(generation=3))
    world.caches[PODS].hear(pod("unready", ready="False"))
    world.at += 51
    world.caches[LEASES].hear(lease("other", "now"))
    await look(lifecycle)
    told = [(name, body["status"]) for name, sub, body in world.written if sub == "status"]
    assert [name for name, _ in told] == ["a", "p"]
    [ready] = told[1][1]["conditions"]
    assert ready == {
        "type": "Ready",
        "status": "False",
        "reason": "Why",
        "lastTransitionTime": timestamps.render(world.at),
        "observedGeneration": 3,
    }
    assert [note[:4] for note in world.notes] == [
        ("Node", "a", "Normal", "NodeNotReady"),
        ("Pod", "p", "Warning", "NodeNotReady"),
    ]


async def test_a_node_that_said_itself_that_it_is_not_ready_is_not_told_of_again(world, lifecycle):
    world.caches[NODES].hear(node(ready="False", born=NOW - 7200))
    world.at += 51
    await look(lifecycle)
    assert not [note for note in world.notes if note[0] == "Node"]


async def test_a_node_that_never_spoke_is_silent_since_its_birth(world, lifecycle):
    world.caches[NODES].hear(node(ready="", born=NOW - 45))
    assert (await look(lifecycle)).again_after == pytest.approx(15)
    world.caches[NODES].hear(node("b", ready="", born=NOW - 100))
    await look(lifecycle, "b")
    reasons = {
        item["reason"]
        for name, sub, body in world.written
        if (name, sub) == ("b", "status")
        for item in body["status"]["conditions"]
    }
    assert reasons == {"NodeStatusNeverUpdated"}
    # One whose lease is renewed is well, whatever it does not say.
    world.caches[LEASES].hear(lease("c", "now"))
    world.caches[NODES].hear(node("c", ready="", born=NOW - 100))
    assert (await look(lifecycle, "c")).again_after == pytest.approx(60)


async def test_labels_are_written_under_their_older_names(world, lifecycle):
    world.caches[NODES].hear(node(labels={"kubernetes.io/os": "linux"}))
    await look(lifecycle)
    [(_, _, body)] = world.written
    assert body["metadata"]["labels"] == {"beta.kubernetes.io/os": "linux"}


async def test_a_lease_renewed_costs_no_look(world, lifecycle):
    for number in range(200):
        world.caches[NODES].hear(node(f"n{number}"))
        world.caches[LEASES].hear(lease(f"n{number}", "0"))
    while len(lifecycle.queue):
        lifecycle.queue.done(await lifecycle.queue.get())
    for number in range(200):
        world.at += 0.01
        world.caches[LEASES].hear(lease(f"n{number}", "1"))
    assert not len(lifecycle.queue)
    # One that was taken for lost is looked at.
    world.at += 51
    world.caches[LEASES].hear(lease("n7", "2"))
    assert await lifecycle.queue.get() == Key("", "n7")


@pytest.mark.parametrize(
    ("phase", "wanted"),
    [
        ("Running", {"phase": "Failed", "DisruptionTarget": "DeletionByPodGC"}),
        ("Succeeded", None),
        ("Failed", None),
    ],
)
async def test_a_pod_without_a_node_fails_by_its_loss_unless_it_has_ended(world, phase, wanted):
    cluster = orphans.Orphans(world, 0)
    controller = PodGCController(cluster)
    world.caches[PODS].hear(pod(phase=phase))
    world.gone.add("a")
    assert (await controller.reconcile(Key("ns", "p"))).again_after == 40
    assert not world.written
    world.at += 40
    await controller.reconcile(Key("ns", "p"))
    *told, (_, verb, options) = world.written
    assert (verb, options["grace_period_seconds"]) == ("delete", 0)
    if wanted is None:
        assert not told
        return
    [(_, _, body)] = told
    assert body["status"]["phase"] == "Failed"
    [said] = body["status"]["conditions"]
    assert (said["type"], said["reason"], said["message"]) == (
        "DisruptionTarget",
        "DeletionByPodGC",
        ORPHANED,
    )


async def test_a_pod_of_a_node_out_of_service_fails_without_being_disrupted(world):
    cluster = orphans.Orphans(world, 0)
    controller = PodGCController(cluster)
    off = Taint(key="node.kubernetes.io/out-of-service", effect="NoExecute")
    lost = replace(node(ready="False"), spec=NodeSpec(taints=(off,)))
    world.caches[NODES].hear(lost)
    going = pod()
    going = replace(
        going, metadata=replace(going.metadata, deletion_timestamp="2026-01-01T00:00:00Z")
    )
    world.caches[PODS].hear(going)
    await controller.reconcile(Key("ns", "p"))
    (_, _, body), (_, verb, _) = world.written
    assert body["status"] == {"phase": "Failed"}
    assert verb == "delete"
    [family] = cluster.families()
    assert [sample[1:3] for sample in family.samples] == [
        ((("namespace", "ns"), ("reason", "out-of-service")), 1)
    ]
