"""``scale``: the replicas of a workload as an autoscaling/v1 Scale."""

from typing import Any

from pilothouse.services.machinery.errors import BadRequest, Invalid, Subject
from pilothouse.services.machinery.names import invalid

Document = dict[str, Any]

DEFINITION = "io.k8s.api.autoscaling.v1.Scale"
_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(document: Document) -> Document:
    """The Scale of a Deployment, ReplicaSet, ReplicationController or StatefulSet."""
    metadata = document["metadata"]
    spec, status = document.get("spec") or {}, document.get("status") or {}
    shown: Document = {"replicas": status.get("replicas", 0)}
    selector = _selector(spec.get("selector") or {})
    if selector:
        shown["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in _METADATA if name in metadata},
        "spec": {"replicas": spec.get("replicas", 0)},
        "status": shown,
    }


def scaled(document: Document, scale: Document) -> Document:
    """The workload with the replicas of a Scale.

    Raises:
        BadRequest: it is not a Scale.
        Invalid: fewer than none.
    """
    if scale.get("kind", "Scale") != "Scale":
        raise BadRequest(f"expected a Scale, got a {scale['kind']}")
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        name = document["metadata"]["name"]
        cause = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise Invalid(
            f'Scale.autoscaling "{name}" is invalid: {cause.field}: {cause.message}',
            subject=Subject(group="autoscaling", kind="Scale", name=name),
            causes=[cause],
        )
    return {**document, "spec": {**document["spec"], "replicas": replicas}}


def _selector(selector: Document) -> str:
    """A LabelSelector, or the plain map of a ReplicationController, as text."""
    plain = "matchLabels" not in selector and "matchExpressions" not in selector
    equal = selector if plain else selector.get("matchLabels") or {}
    parts = [f"{key}={value}" for key, value in sorted(equal.items())]
    for item in () if plain else selector.get("matchExpressions") or ():
        key, values = item["key"], ",".join(item.get("values") or ())
        parts.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }.get(item["operator"], key)
        )
    return ",".join(parts)
