"""``binding``: a pod gets its node, once."""

from typing import Any

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.objects import refusals
from pilothouse.services.machinery import names, timestamps
from pilothouse.services.machinery.errors import Conflict, Invalid, Subject

Document = dict[str, Any]

DEFINITION = "io.k8s.api.core.v1.Binding"


def node_of(name: str, binding: Document) -> str:
    """The node that a Binding names; Invalid when it names none."""
    target = binding.get("target") or {}
    if target.get("kind", "Node") not in {"", "Node"}:
        cause = names.unsupported("target.kind", target["kind"], ("Node", "<empty>"))
    elif not target.get("name"):
        cause = names.required("target.name")
    else:
        return str(target["name"])
    raise Invalid(
        f'Binding "{name}" is invalid: {cause.field}: {cause.message}',
        subject=Subject(kind="Binding", name=name),
        causes=[cause],
    )


def bound(kind: Kind, pod: Document, binding: Document, now: float) -> Document:
    """The pod on its node.

    Raises:
        Conflict: it is going, has a node, or is another pod than the one meant.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    name = metadata["name"]
    wanted = (binding.get("metadata") or {}).get("uid")
    if wanted and wanted != metadata["uid"]:
        why = f"UID in precondition: {wanted}, UID in object meta: {metadata['uid']}"
        raise refusals.conflict(kind, name, f"Precondition failed: {why}")
    if "deletionTimestamp" in metadata:
        raise _conflict(name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _conflict(name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _conflict(name, f"pod {name} has non-empty .spec.schedulingGates")
    for field in ("annotations", "labels"):
        if given := (binding.get("metadata") or {}).get(field):
            metadata = {**metadata, field: {**(metadata.get(field) or {}), **given}}
    return {
        **pod,
        "metadata": metadata,
        "spec": {**spec, "nodeName": node_of(name, binding)},
        "status": _scheduled(pod.get("status") or {}, now),
    }


def _scheduled(status: Document, now: float) -> Document:
    others = [item for item in status.get("conditions") or () if item["type"] != "PodScheduled"]
    condition = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": timestamps.render(now),
    }
    return {**status, "conditions": [*others, condition]}


def _conflict(name: str, why: str) -> Conflict:
    return Conflict(
        f'Operation cannot be fulfilled on pods/binding "{name}": {why}',
        subject=Subject(kind="pods/binding", name=name),
    )
