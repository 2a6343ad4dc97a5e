"""Metrics as the API server hands them on: ``metrics.k8s.io``, custom and external ones.

They are read at its REST door, for they are served by others behind it and never stored.
"""

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from pilothouse.services.controllers.adapters.rest import RestDoor, Server, Unreachable
from pilothouse.services.controllers.autoscaling.sizes.proposals import Reading, Total, Unread
from pilothouse.services.controllers.autoscaling.sizes.samples import Sample
from pilothouse.services.machinery import durations, quantity, timestamps
from pilothouse.services.machinery.kinds.autoscaling import (
    Amount,
    Metric,
    MetricSource,
    Reference,
    ResourceSource,
    render_selector,
)
from pilothouse.services.machinery.objects import Metadata, View

_NOT_FOUND = 404
CUSTOM_WINDOW_SECONDS = 60.0
_RESOURCE, _CUSTOM, _EXTERNAL = "resource", "custom", "external"
_VERSIONS = ("v1beta2", "v1beta1")
_PLURALS = {"Ingress": "ingresses.networking.k8s.io", "Endpoints": "endpoints"}


class Metrics(Protocol):
    """Where metrics come from."""

    async def read(self, metric: Metric, namespace: str, selector: str) -> Reading:
        """The metric, of the pods that ``selector`` finds where it is told by pods."""


class _Container(View, frozen=True, kw_only=True):
    name: str = ""
    usage: dict[str, Amount] = {}


class _PodMetrics(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    timestamp: str = ""
    window: str = "0s"
    containers: tuple[_Container, ...] = ()


class _Described(View, frozen=True, kw_only=True):
    name: str = ""


class _Value(View, frozen=True, kw_only=True):
    described_object: _Described = _Described()
    timestamp: str = ""
    window_seconds: float | None = None
    value: Amount = 0


class _ResourceList(View, frozen=True, kw_only=True):
    items: tuple[_PodMetrics, ...] = ()


class _ValueList(View, frozen=True, kw_only=True):
    items: tuple[_Value, ...] = ()


class _Version(View, frozen=True, kw_only=True):
    version: str = ""


class _Group(View, frozen=True, kw_only=True):
    preferred_version: _Version = _Version()
    versions: tuple[_Version, ...] = ()


class _Failed(Exception):
    """What the server said."""


class RestMetrics:
    """Reads at ``server``; without one nothing can be read."""

    def __init__(self, server: Server | None) -> None:
        self._door = RestDoor(server)
        self._custom_version = ""

    async def read(self, metric: Metric, namespace: str, selector: str) -> Reading:
        source = metric.resource or metric.container_resource
        try:
            if source is not None:
                return await self._resource(source, namespace, selector)
            if metric.pods is not None:
                return await self._pods(metric.pods, namespace, selector)
            if metric.object is not None:
                return await self._object(metric.object, namespace)
            if metric.external is not None:
                return await self._external(metric.external, namespace)
        except (_Failed, msgspec.MsgspecError, ValueError) as error:
            return Unread(str(error))
        return Unread("no source is given")

    async def _resource(self, source: ResourceSource, namespace: str, selector: str) -> Reading:
        path = f"metrics.k8s.io/v1beta1/namespaces/{namespace}/pods"
        body = await self._get(_RESOURCE, path, "pods.metrics.k8s.io", {"labelSelector": selector})
        found = msgspec.json.decode(body, type=_ResourceList).items
        if not found:
            raise _Failed("no metrics returned from resource metrics API")
        samples = {}
        for item in found:
            milli = _used(item, source)
            if milli is not None:
                at = timestamps.parse(item.timestamp) if item.timestamp else 0.0
                window = durations.parse(item.window)
                samples[item.metadata.name] = Sample(milli, at, window)
        return samples

    async def _pods(self, source: MetricSource, namespace: str, selector: str) -> Reading:
        values = await self._custom(source, namespace, "pods", "*", {"labelSelector": selector})
        return {
            item.described_object.name: Sample(
                quantity.milli(item.value),
                timestamps.parse(item.timestamp) if item.timestamp else 0.0,
                CUSTOM_WINDOW_SECONDS if item.window_seconds is None else item.window_seconds,
            )
            for item in values
        }

    async def _object(self, source: MetricSource, namespace: str) -> Reading:
        about = source.described_object
        values = await self._custom(source, namespace, _plural(about), about.name, {})
        return Total(quantity.milli(values[0].value))

    async def _custom(
        self,
        source: MetricSource,
        namespace: str,
        plural: str,
        name: str,
        query: dict[str, str],
    ) -> tuple[_Value, ...]:
        metric = source.metric
        where = f"namespaces/{namespace}/{plural}/{quote(name, safe='*')}"
        if plural == "namespaces":
            where = f"namespaces/{quote(name)}/metrics"
        version = await self._version()
        path = f"custom.metrics.k8s.io/{version}/{where}/{quote(metric.name, safe='')}"
        series = render_selector(metric.selector)
        if series:
            query["metricLabelSelector"] = series
        body = await self._get(_CUSTOM, path, f"{plural}.custom.metrics.k8s.io", query)
        found = msgspec.json.decode(body, type=_ValueList).items
        if not found:
            raise _Failed("no metrics returned from custom metrics API")
        return found

    async def _version(self) -> str:
        """Of the custom metrics API, as the server would have it; not every adapter has both."""
        if not self._custom_version:
            try:
                answer = await self._door.get("/apis/custom.metrics.k8s.io", {})
            except Unreachable:
                return _VERSIONS[0]
            if not answer.is_ok:
                return _VERSIONS[0]
            group = msgspec.json.decode(answer.body, type=_Group)
            offered = [item.version for item in (group.preferred_version, *group.versions)]
            known = (version for version in offered if version in _VERSIONS)
            self._custom_version = next(known, _VERSIONS[0])
        return self._custom_version

    async def _external(self, source: MetricSource, namespace: str) -> Reading:
        metric = source.metric
        name = quote(metric.name, safe="")
        path = f"external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{name}"
        query = {"labelSelector": render_selector(metric.selector)}
        body = await self._get(_EXTERNAL, path, f"{name}.external.metrics.k8s.io", query)
        found = msgspec.json.decode(body, type=_ValueList).items
        if not found:
            raise _Failed("no metrics returned from external metrics API")
        return Total(sum(quantity.milli(item.value) for item in found))

    async def _get(self, api: str, path: str, what: str, query: Mapping[str, str]) -> bytes:
        words = f"unable to fetch metrics from {api} metrics API"
        try:
            answer = await self._door.get(f"/apis/{path}", query)
        except Unreachable as error:
            raise _Failed(f"{words}: {error}") from error
        if answer.is_ok:
            return answer.body
        told: Any = msgspec.json.decode(answer.body).get("message") if answer.is_json else None
        if answer.status == _NOT_FOUND:
            self._custom_version = ""  # another adapter may serve it now
        if answer.status == _NOT_FOUND and (not told or "could not find" in told):
            told = f"the server could not find the requested resource (get {what})"
        raise _Failed(f"{words}: {told or f'the server answered {answer.status}'}")


def _used(item: _PodMetrics, source: ResourceSource) -> int | None:
    """Of one container or of all; None where one of them does not say."""
    if source.container:
        for container in item.containers:
            if container.name == source.container:
                amount = container.usage.get(source.name)
                return None if amount is None else quantity.milli(amount)
        name = f"{item.metadata.namespace}/{item.metadata.name}"
        raise _Failed(f"container {source.container} not present in metrics for pod {name}")
    total = 0
    for container in item.containers:
        amount = container.usage.get(source.name)
        if amount is None:
            return None
        total += quantity.milli(amount)
    return total if item.containers else None


def _plural(about: Reference) -> str:
    """``plural.group``, as metrics adapters know the kind."""
    if about.kind in _PLURALS:
        return _PLURALS[about.kind]
    kind = about.kind.lower()
    if kind.endswith("y"):
        plural = f"{kind[:-1]}ies"
    else:
        plural = f"{kind}es" if kind.endswith("s") else f"{kind}s"
    group = about.api_version.rpartition("/")[0]
    return f"{plural}.{group}" if group else plural
