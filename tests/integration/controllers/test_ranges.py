"""A range of cluster addresses stays while a Service has one of them."""

import pytest

from pilothouse.services.controllers.network import servicecidrs
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds.ranges import RANGE_FINALIZER
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import SERVICE_CIDRS, SERVICES


@pytest.fixture(autouse=True)
def short_grace(monkeypatch):
    # A deletion's time is in whole seconds.
    monkeypatch.setattr(servicecidrs, "GRACE_SECONDS", 0.0)


async def test_a_range_lives_as_long_as_it_is_needed(cluster):
    await cluster.create(
        SERVICE_CIDRS, {"metadata": {"name": "more"}, "spec": {"cidrs": ["172.30.0.0/24"]}}, ""
    )

    async def ready():
        found = await cluster.get(SERVICE_CIDRS, "more", "")
        held = RANGE_FINALIZER in found["metadata"].get("finalizers", ())
        conditions = found.get("status", {}).get("conditions", [])
        return held and [each["status"] for each in conditions] == ["True"]

    await cluster.wait(ready)
    spec = {"clusterIP": "172.30.0.9", "ports": [{"port": 80}]}
    await cluster.create(SERVICES, {"metadata": {"name": "far"}, "spec": spec})
    await cluster.objects.delete(SERVICE_CIDRS, Key("", "more"))

    async def blocked():
        found = await cluster.get(SERVICE_CIDRS, "more", "")
        return found["status"]["conditions"][0]["reason"] == "Terminating"

    await cluster.wait(blocked)
    await cluster.objects.delete(SERVICES, Key("default", "far"))

    async def gone():
        try:
            await cluster.get(SERVICE_CIDRS, "more", "")
        except NotFound:
            return True
        return False

    await cluster.wait(gone)
