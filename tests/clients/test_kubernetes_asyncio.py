"""The official client's asyncio twin."""

import asyncio

import pytest
from kubernetes_asyncio import client, config, watch


@pytest.fixture
async def api(control_plane):
    configuration = client.Configuration()
    await config.load_kube_config(str(control_plane.kubeconfig), client_configuration=configuration)
    async with client.ApiClient(configuration) as connected:
        yield connected


async def test_writes_are_seen_by_a_watch_beside_them(api, namespace):
    core = client.CoreV1Api(api)
    since = (await core.list_namespaced_pod(namespace)).metadata.resource_version
    pod = {
        "metadata": {"name": "p", "labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    seen = []

    async def look():
        async with watch.Watch() as stream:
            async for event in stream.stream(
                core.list_namespaced_pod,
                namespace,
                label_selector="a=b",
                resource_version=since,
                timeout_seconds=30,
            ):
                seen.append((event["type"], event["object"].metadata.name))
                if event["type"] == "DELETED":
                    return

    async with asyncio.TaskGroup() as group:
        group.create_task(look())
        await core.create_namespaced_pod(namespace, pod)
        # It leaves the selector: to this watcher it is gone.
        await core.patch_namespaced_pod("p", namespace, {"metadata": {"labels": {"a": "c"}}})
    assert seen[0] == ("ADDED", "p")
    assert seen[-1] == ("DELETED", "p")


async def test_many_requests_at_once(api, namespace):
    core = client.CoreV1Api(api)
    async with asyncio.TaskGroup() as group:
        for number in range(60):
            body = {"metadata": {"generateName": "many-"}, "data": {"n": str(number)}}
            group.create_task(core.create_namespaced_config_map(namespace, body))
    listed = await core.list_namespaced_config_map(namespace)
    numbers = sorted(int(item.data["n"]) for item in listed.items if "n" in (item.data or {}))
    assert numbers == list(range(60))


async def test_evicting_a_pod_deletes_it(api, namespace):
    core = client.CoreV1Api(api)
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    await core.create_namespaced_pod(namespace, pod)
    await core.create_namespaced_pod_eviction("p", namespace, {"metadata": {"name": "p"}})
    listed = await core.list_namespaced_pod(namespace)
    assert [p for p in listed.items if p.metadata.deletion_timestamp is None] == []
