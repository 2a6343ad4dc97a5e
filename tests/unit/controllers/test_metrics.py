"""Metrics are read where metrics servers serve them, and what fails is said in upstream's words."""

import contextlib

import msgspec
import pytest
from aiohttp import web

from pilothouse.services.controllers.adapters.autoscaling.metrics import RestMetrics
from pilothouse.services.controllers.adapters.rest import Server
from pilothouse.services.controllers.autoscaling.sizes.proposals import Total, Unread
from pilothouse.services.machinery.kinds.autoscaling import Metric

RESOURCE = {"type": "Resource", "resource": {"name": "cpu"}}
POD = {
    "metadata": {"name": "a", "namespace": "ns"},
    "timestamp": "2026-01-01T00:00:00Z",
    "window": "30s",
    "containers": [{"name": "x", "usage": {"cpu": "250m"}}, {"name": "y", "usage": {"cpu": "1"}}],
}
SERIES = {"name": "hits", "selector": {"matchLabels": {"verb": "get"}}}


@contextlib.asynccontextmanager
async def serving(paths):
    """A metrics server; what was asked of it is in the list."""
    asked = []

    async def answer(request):
        asked.append((request.path, dict(request.query)))
        body = paths.get(request.path)
        if body is None:
            return web.json_response({"message": "the server could not find it"}, status=404)
        return web.json_response(body)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    try:
        yield RestMetrics(Server(f"http://127.0.0.1:{port}")), asked
    finally:
        await runner.cleanup()


async def read(paths, metric, selector="app=web"):
    async with serving(paths) as (metrics, asked):
        found = await metrics.read(msgspec.convert(metric, Metric), "ns", selector)
        return found, asked


PODS = "/apis/metrics.k8s.io/v1beta1/namespaces/ns/pods"


async def test_resources_of_all_containers_or_of_one():
    found, asked = await read({PODS: {"items": [POD]}}, RESOURCE)
    assert (found["a"].milli, found["a"].window_seconds) == (1250, 30)
    assert asked == [(PODS, {"labelSelector": "app=web"})]
    one = {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "x"}}
    found, _ = await read({PODS: {"items": [POD]}}, one)
    assert found["a"].milli == 250
    one["containerResource"]["container"] = "z"
    found, _ = await read({PODS: {"items": [POD]}}, one)
    assert found == Unread("container z not present in metrics for pod ns/a")


async def test_a_pod_of_which_a_container_does_not_say_is_left_out():
    found, _ = await read({PODS: {"items": [POD]}}, {"type": "Resource", "resource": {"name": "m"}})
    assert found == {}


async def test_custom_metrics_of_pods_and_of_objects():
    path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/ns/pods/*/hits"
    values = {"items": [{"describedObject": {"name": "a"}, "value": "7", "timestamp": ""}]}
    found, asked = await read({path: values}, {"type": "Pods", "pods": {"metric": SERIES}})
    assert found["a"].milli == 7000
    assert asked[-1][1] == {"labelSelector": "app=web", "metricLabelSelector": "verb=get"}
    about = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
    path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/ns/deployments.apps/d/hits"
    metric = {"type": "Object", "object": {"metric": SERIES, "describedObject": about}}
    assert (await read({path: values}, metric))[0] == Total(7000)


@pytest.mark.parametrize(
    ("preferred", "versions", "asked_at"),
    [
        ("v1beta1", ["v1beta1", "v1beta2"], "v1beta1"),
        ("v1beta2", ["v1beta2", "v1beta1"], "v1beta2"),
        ("v2", ["v2", "v1beta1"], "v1beta1"),
        ("v2", ["v2"], "v1beta2"),
    ],
)
async def test_custom_metrics_are_asked_for_in_the_version_that_is_served(
    preferred, versions, asked_at
):
    path = f"/apis/custom.metrics.k8s.io/{asked_at}/namespaces/ns/pods/*/hits"
    group = {
        "preferredVersion": {"version": preferred},
        "versions": [{"version": version} for version in versions],
    }
    values = {"items": [{"describedObject": {"name": "a"}, "metricName": "hits", "value": "7"}]}
    served = {"/apis/custom.metrics.k8s.io": group, path: values}
    found, _ = await read(served, {"type": "Pods", "pods": {"metric": SERIES}})
    assert found["a"].milli == 7000


async def test_series_of_external_metrics_are_summed():
    path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/ns/hits"
    metric = {"type": "External", "external": {"metric": SERIES}}
    found, asked = await read({path: {"items": [{"value": "2"}, {"value": "500m"}]}}, metric)
    assert found == Total(2500)
    assert asked[0][1] == {"labelSelector": "verb=get"}


@pytest.mark.parametrize(
    ("paths", "error"),
    [
        (
            {},
            "unable to fetch metrics from resource metrics API: the server could not find the "
            "requested resource (get pods.metrics.k8s.io)",
        ),
        ({PODS: {"items": []}}, "no metrics returned from resource metrics API"),
    ],
)
async def test_what_cannot_be_read_is_said(paths, error):
    assert (await read(paths, RESOURCE))[0] == Unread(error)


async def test_nothing_is_read_where_there_is_no_door():
    found = await RestMetrics(None).read(msgspec.convert(RESOURCE, Metric), "ns", "")
    assert isinstance(found, Unread)
