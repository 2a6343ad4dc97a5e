"""A kubelet makes only its own node, its own lease, and mirrors of pods that run on it."""

import msgspec

from pilothouse.services.apiserver.admission.accounts import MIRROR
from pilothouse.services.apiserver.admission.request import Admission
from pilothouse.services.apiserver.requests import User
from pilothouse.services.machinery.errors import Forbidden
from pilothouse.services.machinery.kinds.nodes import LEASE_NAMESPACE, NOT_READY
from pilothouse.services.machinery.objects import Key

GROUP = "system:nodes"
PREFIX = "system:node:"


def node_of(user: User) -> str:
    """The node whose kubelet asks; empty for anybody else."""
    if GROUP in user.groups and user.name.startswith(PREFIX):
        return user.name.removeprefix(PREFIX)
    return ""


def admit(request: Admission) -> None:
    """Nodes and leases are the kubelet's own."""
    node = node_of(request.user)
    if not node:
        return
    lease = request.kind.native == "leases" and request.key.namespace == LEASE_NAMESPACE
    if (lease or request.kind.native == "nodes") and request.key.name != node:
        _refuse(request, f'node "{node}" is not allowed to modify node "{request.key.name}"')


def admit_taint(request: Admission) -> None:
    """Nothing is scheduled to a new node before it has said that it is ready."""
    spec = request.document.setdefault("spec", {})
    taint = {"key": NOT_READY, "effect": "NoSchedule"}
    if taint not in (spec.get("taints") or ()):
        spec["taints"] = [*(spec.get("taints") or ()), taint]


def admit_pod(request: Admission) -> None:
    """A kubelet's pods are mirrors, bound to its node."""
    node = node_of(request.user)
    if not node:
        return
    document = request.document
    if MIRROR not in (document["metadata"].get("annotations") or ()):
        _refuse(request, f'pod does not have "{MIRROR}" annotation, node "{node}" can only '
                "create mirror pods")  # fmt: skip
    if document["spec"].get("nodeName") != node:
        _refuse(request, f'node "{node}" can only create pods with spec.nodeName set to itself')


def admit_pod_certificate(request: Admission) -> None:
    """A kubelet asks for certificates of pods that run on its node, as their service account."""
    node = node_of(request.user)
    if not node:
        return
    spec = request.document.get("spec") or {}
    asked = spec.get("nodeName", "")
    if asked != node:
        _refuse(request, f'PodCertificateRequest.Spec.NodeName="{asked}", which is not the '
                f'requesting node "{node}"')  # fmt: skip
    name = spec.get("podName", "")
    found = request.live.find("", "pods", Key(request.key.namespace, name))
    if found is None:
        _refuse(request, f"while retrieving pod {request.key.namespace}/{name}: not found")
        return
    pod = msgspec.json.decode(found.json)
    told = (
        ("PodUID", spec.get("podUID"), pod["metadata"].get("uid")),
        ("ServiceAccountName", spec.get("serviceAccountName"),
         pod["spec"].get("serviceAccountName") or "default"),
        ("NodeName", node, pod["spec"].get("nodeName")),
    )  # fmt: skip
    for field, given, actual in told:
        if given != actual:
            _refuse(request, f'PodCertificateRequest.Spec.{field} contains "{given}", which '
                    f'differs from that of the pod, "{actual}"')  # fmt: skip
    if MIRROR in (pod["metadata"].get("annotations") or ()):
        _refuse(request, "pod is a mirror pod")


def _refuse(request: Admission, why: str) -> None:
    name = request.key.name
    raise Forbidden(
        f'{request.kind.qualified} "{name}" is forbidden: {why}',
        subject=request.kind.subject(name),
    )
