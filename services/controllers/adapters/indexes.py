"""By what the caches find objects; adding an index twice is harmless."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.services import Service
from pilothouse.services.machinery.objects import Metadata, Viewed, controller_of
from pilothouse.services.runtime.client.cache import Cache

NAMESPACE = "namespace"
CONTROLLER = "controller"
NODE = "node"
LABEL = "label"
SELECTOR = "selector"

V = TypeVar("V", bound=Viewed)


def add_namespace(cache: Cache[Any]) -> None:
    """Find by namespace."""
    cache.add_index(NAMESPACE, _namespace)


def add_controller(cache: Cache[Any]) -> None:
    """Find by the controller's uid, or by :func:`free` those that nobody controls."""
    cache.add_index(CONTROLLER, _controller)


def add_node(cache: Cache[Pod]) -> None:
    """Find pods by the node they are bound to."""
    cache.add_index(NODE, _node)


def add_label(cache: Cache[Any]) -> None:
    """Find by labels, with :func:`labelled`."""
    cache.add_index(LABEL, _labels)


def labelled(cache: Cache[V], namespace: str, wanted: Mapping[str, str]) -> list[V]:
    """Those with all of these labels: no more are looked at than have the rarest of them."""
    values = [_label(namespace, *pair) for pair in wanted.items()]
    if not values:
        return []
    rarest = min(values, key=lambda value: cache.count(LABEL, value))
    found = cache.by_index(LABEL, rarest)
    return [item for item in found if wanted.items() <= item.metadata.labels.items()]


def add_selector(services: Cache[Service]) -> None:
    """Find by what they select, with :func:`selecting`."""
    services.add_index(SELECTOR, _selector)


def selecting(services: Cache[Service], metadata: Metadata) -> list[Service]:
    """Services that select an object of these labels."""
    labels = metadata.labels.items()
    return [
        service
        for pair in labels
        for service in services.by_index(SELECTOR, _label(metadata.namespace, *pair))
        if service.spec.selector.items() <= labels
    ]


def free(namespace: str) -> str:
    """The value under which the objects of ``namespace`` are that nobody controls."""
    return f"free/{namespace}"


def _namespace(item: Viewed) -> Iterable[str]:
    return (item.metadata.namespace,)


def _controller(item: Viewed) -> Iterable[str]:
    owner = controller_of(item.metadata)
    return (owner.uid if owner is not None else free(item.metadata.namespace),)


def _node(pod: Pod) -> Iterable[str]:
    return (pod.spec.node_name,) if pod.spec.node_name else ()


def _label(namespace: str, name: str, value: str) -> str:
    return f"{namespace}/{name}={value}"


def _labels(item: Viewed) -> Iterable[str]:
    metadata = item.metadata
    return (_label(metadata.namespace, *pair) for pair in metadata.labels.items())


def _selector(service: Service) -> Iterable[str]:
    """One label that all it selects have."""
    first = min(service.spec.selector.items(), default=None)
    return () if first is None else (_label(service.metadata.namespace, *first),)
