"""The simulation's own parts: time that is virtual, and invariants that see what is broken."""

import asyncio
import os
import uuid

import msgspec
import pytest

from pilothouse.ops.simulation import loop
from pilothouse.ops.simulation.invariants import rest
from pilothouse.ops.simulation.invariants.guards import Leadership, Quotas
from pilothouse.ops.simulation.invariants.jobs import Jobs
from pilothouse.ops.simulation.invariants.replicas import Replicas
from pilothouse.ops.simulation.state import MEMORY_SECONDS, State
from pilothouse.protos.mesh.v1 import objects_pb2 as pb
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.storage import Change, Entry


class Cluster:
    """Commits by hand, and what each invariant says of them."""

    def __init__(self, *invariants, state=None):
        self.state = state or State()
        self.now = 0.0
        self._invariants = invariants
        self._revision = 0

    def put(self, plural, name, **document):
        document["metadata"] = {"name": name, "namespace": "a", **document.get("metadata", {})}
        document.setdefault("kind", "Thing")
        self._revision += 1
        key = f"/registry/{plural}/a/{name}".encode()
        entry = Entry(key, msgspec.json.encode(document), 1, self._revision, 1)
        return self._commit(Change(key, self._revision, entry, None))

    def _commit(self, change):
        step = self.state.apply(change)
        return [said for one in self._invariants for said in one.see(step, self.now)]


def owned(kind, uid, **more):
    reference = {"kind": kind, "name": uid, "uid": uid, "controller": True}
    return {"uid": uid + "-child", "ownerReferences": [reference], **more}


def test_time_jumps_and_nobody_waits():
    async def main(running):
        began = running.time()
        await asyncio.sleep(1e6)
        return running.time() - began

    assert loop.run(main, 1) >= 1e6


def test_who_waits_for_nothing_is_told():
    async def main(running):
        await running.create_future()

    with pytest.raises(loop.Stuck):
        loop.run(main, 1)


def test_who_never_pauses_is_told():
    async def main(_):
        while True:
            await asyncio.sleep(0)

    with pytest.raises(loop.Stuck):
        loop.run(main, 1)


def test_randomness_is_the_seeds_and_afterwards_the_machines_again():
    async def main(_):
        return uuid.uuid4(), os.urandom(8), await asyncio.to_thread(lambda: 7)

    assert loop.run(main, 1) == loop.run(main, 1)
    assert loop.run(main, 1) != loop.run(main, 2)
    assert uuid.uuid4() != uuid.uuid4()


def test_more_pods_than_wanted_are_seen():
    state = State()
    cluster = Cluster(Replicas(state, {}), state=state)
    assert not cluster.put("replicasets", "rs", metadata={"uid": "rs"}, spec={"replicas": 1})
    assert not cluster.put("pods", "p", metadata=owned("ReplicaSet", "rs"))
    assert cluster.put("pods", "q", metadata=owned("ReplicaSet", "rs"))


def test_a_surge_that_is_too_large_is_seen_unless_it_was_allowed_a_moment_ago():
    state = State()
    cluster = Cluster(Replicas(state, {}), state=state)
    rolling = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}

    def wanted(replicas):
        spec = {"replicas": replicas, "strategy": rolling}
        return cluster.put("deployments", "d", metadata={"uid": "d"}, spec=spec)

    def sized(name, replicas):
        metadata = owned("Deployment", "d") | {"uid": name}
        return cluster.put("replicasets", name, metadata=metadata, spec={"replicas": replicas})

    assert not wanted(4)
    assert not sized("old", 4)
    assert not wanted(2)
    assert not sized("new", 1)
    cluster.now = MEMORY_SECONDS * 2
    assert sized("new", 2)


def test_a_job_that_ends_twice_and_a_pod_that_counts_twice_are_seen():
    state = State()
    cluster = Cluster(Jobs(state), state=state)

    def job(**status):
        return cluster.put(
            "jobs", "j", metadata={"uid": "j"}, spec={"completions": 2}, status=status
        )

    def ended(kind):
        return [{"type": kind, "status": "True"}]

    assert not job()
    assert not cluster.put("pods", "p", metadata=owned("Job", "j"), status={"phase": "Succeeded"})
    assert not job(succeeded=1)
    assert job(succeeded=2)
    assert job(succeeded=1, conditions=ended("Complete")) == ["Job a/j: succeeded went from 2 to 1"]
    assert job(succeeded=1, conditions=ended("Failed"))


def test_a_quota_that_is_overdrawn_is_seen():
    cluster = Cluster(Quotas())
    status = {"hard": {"pods": "2"}, "used": {"pods": "2"}}
    assert not cluster.put("resourcequotas", "q", status=status)
    status = {"hard": {"pods": "2"}, "used": {"pods": "3"}}
    assert cluster.put("resourcequotas", "q", status=status)


def test_pods_whose_end_is_overdue_count_again_when_the_clock_is_set_back():
    wall = [9.0]
    cluster = Cluster(Quotas(lambda: wall[0]))
    assert not cluster.put(
        "resourcequotas", "q", status={"hard": {"pods": "2"}, "used": {"pods": "2"}}
    )
    wall[0] = 1.0
    status = {"hard": {"pods": "2"}, "used": {"pods": "3"}}
    assert not cluster.put("resourcequotas", "q", status=status)
    status = {"hard": {"pods": "2"}, "used": {"pods": "4"}}
    assert cluster.put("resourcequotas", "q", status=status)


def test_who_writes_while_another_leads_is_seen():
    cluster = Cluster()
    lease = {"spec": {"holderIdentity": "controllers-b-1"}}
    namespace, name = "kube-system", "kube-controller-manager"
    cluster.state.objects["leases"] = {Key(namespace, name): lease}
    leadership = Leadership(cluster.state)
    write = pb.PatchRequest(resource=pb.Resource(version="v1", resource="pods"), name="p")
    assert list(leadership.sent("controllers-a", write))
    assert not list(leadership.sent("controllers-b", write))
    assert not list(leadership.sent("scheduler-a", write))


def test_what_outlives_its_owner_is_seen():
    cluster = Cluster()
    cluster.put("pods", "p", metadata=owned("ReplicaSet", "rs"), status={})
    assert any("outlived its owners" in said for said in rest.unfinished(cluster.state))
