"""A node makes itself known, renews its lease, and tells its status when that is new or due."""

import asyncio
import contextlib

import msgspec

from pilothouse.services.kubelet.node import node
from pilothouse.services.kubelet.node.registration import Registration
from pilothouse.services.kubelet.ports import RuntimeState
from pilothouse.services.machinery.errors import AlreadyExists, NotFound
from pilothouse.services.machinery.kinds.nodes import Node

HERE = node.Machine(4, 1 << 33, 1 << 35, "amd64", "m", "u", "b", "6.1", "Debian")
TAINTS = ({"key": "k", "effect": "NoSchedule"},)


class Over(Exception):
    """The time that the test gives has run out."""


class LimitedClock:
    """Sleeps pass at once, until so much has been slept."""

    def __init__(self, seconds):
        self.time = 1000.0
        self.end = self.time + seconds

    def now(self):
        return self.time

    def monotonic(self):
        return self.time

    async def sleep(self, seconds):
        await asyncio.sleep(0)
        self.time += seconds
        if self.time > self.end:
            raise Over


class Api:
    """Nodes and leases as the API server has them, seen at once."""

    def __init__(self):
        self.stored = {}
        self.calls = []
        self.registration = None

    def current(self):
        found = self.stored.get("nodes")
        return None if found is None else msgspec.convert(found, Node)

    def configure_network(self, pod_cidr):
        self.calls.append(("network", pod_cidr))

    async def state(self):
        return RuntimeState("r", "1")

    async def create(self, resource, namespace, body):
        self.calls.append(("create", resource.plural))
        if resource.plural in self.stored:
            raise AlreadyExists(resource.plural)
        self.stored[resource.plural] = body
        if resource.plural == "nodes":
            body["metadata"]["uid"] = "uid-1"
            self.registration.changed(None, self.current())
        return ""

    async def patch(self, resource, key, patch):
        self.calls.append(("patch", resource.plural))
        if resource.plural not in self.stored:
            raise NotFound(resource.plural)
        stored = self.stored[resource.plural]
        stored["spec"] |= patch["spec"]
        stored["metadata"] |= patch.get("metadata", {})
        return ""

    async def patch_status(self, resource, key, patch):
        self.calls.append(("status", resource.plural))
        self.stored[resource.plural]["status"] = patch["status"]
        return ""


async def lived(api, seconds, renew_seconds=node.RENEW_SECONDS):
    """What a kubelet asked in this time."""
    identity = node.Identity("n", "10.0.0.1", 10250, 110, taints=TAINTS)
    clock = LimitedClock(seconds)
    api.registration = Registration(api, api, api, clock, identity, HERE)
    with contextlib.suppress(ExceptionGroup):
        await api.registration.run(renew_seconds)
    return [call for call in api.calls if call[1] == "leases"], api.calls


async def test_it_registers_with_its_status_and_taints_and_then_leases():
    api = Api()
    leases, calls = await lived(api, 35.0)
    assert calls[:2] == [("create", "nodes"), ("create", "leases")]
    assert ("status", "nodes") not in calls, "it was told with the registration"
    assert leases[1:] == [("patch", "leases")] * 3
    made = api.stored["nodes"]
    assert made["spec"]["taints"] == [dict(TAINTS[0])]
    assert made["status"]["conditions"][-1]["type"] == "Ready"
    lease = api.stored["leases"]
    assert lease["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "uid-1"}
    ]
    assert lease["spec"]["leaseDurationSeconds"] == node.LEASE_SECONDS


async def test_its_second_lease_may_be_due_later():
    leases, _ = await lived(Api(), 35.0, renew_seconds=30.0)
    assert leases == [("create", "leases"), ("patch", "leases")]


async def test_a_lease_of_before_is_taken_over_and_its_owner_set_right():
    api = Api()
    api.stored = {
        "nodes": {"metadata": {"name": "n", "uid": "uid-2"}, "spec": {}, "status": {}},
        "leases": {"metadata": {"ownerReferences": [{"uid": "uid-1"}]}, "spec": {}},
    }
    leases, calls = await lived(api, 5.0)
    assert leases == [("create", "leases"), ("patch", "leases")]
    assert api.stored["leases"]["metadata"]["ownerReferences"][0]["uid"] == "uid-2"
    assert ("create", "nodes") not in calls
    assert ("status", "nodes") in calls


async def test_a_lease_that_somebody_deleted_is_made_anew():
    class Forgetful(Api):
        async def patch(self, resource, key, patch):
            self.stored.pop("leases", None)
            return await super().patch(resource, key, patch)

    leases, _ = await lived(Forgetful(), 15.0)
    assert leases == [("create", "leases"), ("patch", "leases"), ("create", "leases")]
