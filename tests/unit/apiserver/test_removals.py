"""Deletes: at once, after a grace, or when the last finalizer goes."""

import pytest
from kit.registry import deployment, pod, read

from pilothouse.services.apiserver.requests import DeleteOptions, ReadOptions
from pilothouse.services.machinery.errors import Conflict, Forbidden, Invalid, NotFound


async def bind(client, name="web"):
    body = {"metadata": {"name": name}, "target": {"name": "node-1"}}
    await client.create("pods", body, name=name, sub="binding")


async def test_an_unscheduled_pod_goes_at_once(client):
    await client.create("pods", pod())
    gone = await client.delete("pods", "web")
    assert gone.deleted
    with pytest.raises(NotFound, match='pods "web" not found'):
        await client.get("pods", "web")


async def test_a_scheduled_pod_is_marked_and_the_kubelet_removes_it(client):
    await client.create("pods", pod(terminationGracePeriodSeconds=5))
    await bind(client)
    marked = await client.delete("pods", "web")
    assert not marked.deleted
    metadata = read(marked)["metadata"]
    assert metadata["deletionGracePeriodSeconds"] == 5
    assert metadata["generation"] == 2
    again = await client.delete("pods", "web")
    assert again.revision == marked.revision
    shorter = read(await client.delete("pods", "web", grace_period_seconds=1))["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 1
    assert shorter["deletionTimestamp"] < metadata["deletionTimestamp"]
    assert (await client.delete("pods", "web", grace_period_seconds=0)).deleted
    assert await client.names("pods") == []


async def test_status_may_still_be_written_while_a_pod_goes(client):
    await client.create("pods", pod())
    await bind(client)
    await client.delete("pods", "web")
    patched = await client.patch("pods", "web", {"status": {"phase": "Failed"}}, sub="status")
    assert patched["status"]["phase"] == "Failed"
    assert await client.names("pods") == ["web"]


async def test_finalizers_hold_an_object_until_the_last_is_gone(client):
    body = {"metadata": {"name": "c", "finalizers": ["example.com/hold"]}}
    await client.create("configmaps", body)
    marked = await client.delete("configmaps", "c")
    assert not marked.deleted
    assert "deletionTimestamp" in read(marked)["metadata"]
    more = {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}
    with pytest.raises(Invalid, match="no new finalizers can be added"):
        await client.patch("configmaps", "c", more)
    await client.patch("configmaps", "c", {"metadata": {"finalizers": None}})
    with pytest.raises(NotFound):
        await client.get("configmaps", "c")


@pytest.mark.parametrize(
    ("policy", "finalizers"), [("Foreground", ["foregroundDeletion"]), ("Orphan", ["orphan"])]
)
async def test_policies_leave_a_finalizer_for_the_collector(client, policy, finalizers):
    await client.create("apps/deployments", deployment())
    marked = await client.delete("apps/deployments", "web", propagation_policy=policy)
    assert read(marked)["metadata"]["finalizers"] == finalizers


async def test_background_is_the_default_and_unknown_policies_are_refused(client):
    await client.create("apps/deployments", deployment())
    with pytest.raises(Invalid, match="propagationPolicy"):
        await client.delete("apps/deployments", "web", propagation_policy="Perhaps")
    assert (await client.delete("apps/deployments", "web")).deleted


async def test_preconditions(client):
    made = await client.create("configmaps", {"metadata": {"name": "c"}})
    with pytest.raises(Conflict, match="UID in precondition"):
        await client.delete("configmaps", "c", uid="another")
    with pytest.raises(Conflict, match="ResourceVersion in precondition"):
        await client.delete("configmaps", "c", resource_version="1")
    metadata = made["metadata"]
    gone = await client.delete(
        "configmaps", "c", uid=metadata["uid"], resource_version=metadata["resourceVersion"]
    )
    assert gone.deleted


async def test_a_dry_run_deletes_nothing(client):
    await client.create("configmaps", {"metadata": {"name": "c"}})
    assert (await client.delete("configmaps", "c", dry_run=True)).deleted
    assert await client.names("configmaps") == ["c"]


async def test_a_namespace_goes_when_it_is_finalized(client):
    made = await client.create("namespaces", {"metadata": {"name": "n"}})
    marked = read(await client.delete("namespaces", "n"))
    assert marked["status"]["phase"] == "Terminating"
    body = {**made, "spec": {"finalizers": []}}
    del body["metadata"]["resourceVersion"]
    await client.update("namespaces", "n", body, sub="finalize")
    with pytest.raises(NotFound):
        await client.get("namespaces", "n")


async def test_the_first_namespaces_stay(client):
    with pytest.raises(Forbidden, match="this namespace may not be deleted"):
        await client.delete("namespaces", "default")


async def test_eviction_deletes(client):
    await client.create("pods", pod())
    body = {"metadata": {"name": "web"}, "deleteOptions": {"gracePeriodSeconds": 0}}
    assert (await client.create("pods", body, name="web", sub="eviction"))["status"] == "Success"
    assert await client.names("pods") == []


async def test_a_collection_goes_by_selector(client):
    for name in ("a", "b", "c"):
        await client.create("pods", pod(name))
    reading = ReadOptions(label_selector="app in (a,c)")
    target = client.target("pods")
    gone = await client.registry.delete_collection(client.user, target, reading, DeleteOptions())
    assert [item.key.name for item in gone.items] == ["a", "c"]
    assert await client.names("pods") == ["b"]
