"""By what the caches find objects; adding an index twice is harmless."""

from collections.abc import Iterable
from typing import Any

from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Viewed, controller_of
from pilothouse.services.runtime.client.cache import Cache

NAMESPACE = "namespace"
CONTROLLER = "controller"
NODE = "node"


def add_namespace(cache: Cache[Any]) -> None:
    """Find by namespace."""
    cache.add_index(NAMESPACE, _namespace)


def add_controller(cache: Cache[Any]) -> None:
    """Find by the controller's uid, or by :func:`free` those that nobody controls."""
    cache.add_index(CONTROLLER, _controller)


def add_node(cache: Cache[Pod]) -> None:
    """Find pods by the node they are bound to."""
    cache.add_index(NODE, _node)


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
