"""What a node's kubelet may do beyond RBAC: work on itself and on the pods it was given. Pure."""

from collections.abc import Callable, Collection
from typing import Protocol, TypeAlias

from pilothouse.services.apiserver.chain.attributes import Attributes, Decision
from pilothouse.services.apiserver.requests import User
from pilothouse.services.machinery.objects import Key

GROUP = "system:nodes"
PREFIX = "system:node:"
LEASES_NAMESPACE = "kube-node-lease"

READ = frozenset({"get", "list", "watch"})
GROUPS_READ: dict[str, frozenset[str]] = {
    "": frozenset({"nodes", "pods", "services"}),
    "node.k8s.io": frozenset({"runtimeclasses"}),
    "storage.k8s.io": frozenset({"csidrivers", "csinodes", "volumeattachments"}),
    "resource.k8s.io": frozenset({"resourceclaims", "resourceslices"}),
    "certificates.k8s.io": frozenset({"clustertrustbundles"}),
}
# Objects that a pod names: a node may read those of its own pods, one by one.
REFERENCED = frozenset({"configmaps", "secrets", "persistentvolumeclaims"})


class Bindings(Protocol):
    """What the node authorizer asks about the cluster."""

    def node_of(self, pod: Key) -> str | None:
        """The node that a pod is bound to; None where there is no such pod."""

    def referenced(self, node: str, resource: str) -> Collection[Key]:
        """The objects of ``resource`` that the pods of ``node`` name."""

    def volumes_of(self, node: str) -> Collection[str]:
        """Names of the persistent volumes behind the claims of the node's pods."""

    def accounts_of(self, node: str) -> Collection[Key]:
        """The service accounts of the node's pods."""

    def asked_by(self, request: Key) -> str | None:
        """The node that asked for a pod's certificate; None where there is no such request."""


_Check: TypeAlias = Callable[[str, Attributes, Bindings], bool]


def node_name(user: User) -> str:
    """The node that this user is the kubelet of; empty for anybody else."""
    if GROUP not in user.groups or not user.name.startswith(PREFIX):
        return ""
    return user.name[len(PREFIX) :]


def decide(user: User, attributes: Attributes, bindings: Bindings) -> Decision:
    """Whether a kubelet may; no opinion (not allowed) on users that are none."""
    node = node_name(user)
    if not node or attributes.path:
        return Decision(allowed=False)
    readable = attributes.resource in GROUPS_READ.get(attributes.group, ())
    if readable and attributes.verb in READ and not attributes.subresource:
        return Decision(allowed=True, reason="nodes may read it")
    check = _CHECKS.get((attributes.group, attributes.resource))
    if check is not None and check(node, attributes, bindings):
        return Decision(allowed=True, reason=f'node "{node}" acts for itself')
    return Decision(
        allowed=False, reason=f'no relationship found between node "{node}" and this object'
    )


def _nodes(node: str, attributes: Attributes, bindings: Bindings) -> bool:
    del bindings
    if attributes.subresource not in ("", "status"):
        return False
    if attributes.verb == "create":
        # The name is often in the body only; admission sees to it that it is its own.
        return not attributes.subresource and attributes.name in ("", node)
    return attributes.verb in ("update", "patch") and attributes.name == node


def _pods(node: str, attributes: Attributes, bindings: Bindings) -> bool:
    if attributes.verb == "create" and not attributes.name:
        # Mirror pods; admission refuses any that is not bound to this node.
        return not attributes.subresource
    own = bindings.node_of(Key(attributes.namespace, attributes.name)) == node
    if attributes.verb == "delete":
        return own and not attributes.subresource
    if attributes.verb == "create":
        return own and attributes.subresource == "eviction"
    return own and attributes.verb in ("update", "patch") and attributes.subresource == "status"


def _referenced(node: str, attributes: Attributes, bindings: Bindings) -> bool:
    if attributes.verb not in READ or not attributes.name:
        return False
    key = Key(attributes.namespace, attributes.name)
    return key in bindings.referenced(node, attributes.resource)


def _volumes(node: str, attributes: Attributes, bindings: Bindings) -> bool:
    return attributes.verb == "get" and attributes.name in bindings.volumes_of(node)


def _accounts(node: str, attributes: Attributes, bindings: Bindings) -> bool:
    own = Key(attributes.namespace, attributes.name) in bindings.accounts_of(node)
    if attributes.subresource == "token":
        return own and attributes.verb == "create"
    return own and attributes.verb == "get" and not attributes.subresource


def _pod_certificates(node: str, attributes: Attributes, bindings: Bindings) -> bool:
    if attributes.subresource:
        return False
    if attributes.verb == "create":
        # Admission sees to it that it is for a pod of its own.
        return True
    if attributes.verb not in READ or not attributes.name:
        return False
    asked_by = bindings.asked_by(Key(attributes.namespace, attributes.name))
    # Who waits for one that is gone is told so.
    return asked_by in (node, None)


def _requests(node: str, attributes: Attributes, bindings: Bindings) -> bool:
    """Certificates of its own: the API server notes who asks, and somebody approves."""
    del node, bindings
    return not attributes.subresource and attributes.verb in {"create", *READ}


def _events(node: str, attributes: Attributes, bindings: Bindings) -> bool:
    del node, bindings
    return attributes.verb in ("create", "update", "patch")


def _leases(node: str, attributes: Attributes, bindings: Bindings) -> bool:
    del bindings
    if attributes.namespace != LEASES_NAMESPACE:
        return False
    if attributes.verb == "create":
        return attributes.name in ("", node)
    return attributes.verb in ("get", "update", "patch", "delete") and attributes.name == node


def _own_object(node: str, attributes: Attributes, bindings: Bindings) -> bool:
    del bindings
    if attributes.verb == "create":
        return attributes.name in ("", node)
    return attributes.verb in ("get", "update", "patch", "delete") and attributes.name == node


def _reviews(node: str, attributes: Attributes, bindings: Bindings) -> bool:
    del node, bindings
    return attributes.verb == "create"


_CHECKS: dict[tuple[str, str], _Check] = {
    ("", "nodes"): _nodes,
    ("", "pods"): _pods,
    ("", "configmaps"): _referenced,
    ("", "secrets"): _referenced,
    ("", "persistentvolumeclaims"): _referenced,
    ("", "persistentvolumes"): _volumes,
    ("", "serviceaccounts"): _accounts,
    ("", "events"): _events,
    ("events.k8s.io", "events"): _events,
    ("certificates.k8s.io", "certificatesigningrequests"): _requests,
    ("certificates.k8s.io", "podcertificaterequests"): _pod_certificates,
    ("coordination.k8s.io", "leases"): _leases,
    ("storage.k8s.io", "csinodes"): _own_object,
    ("authentication.k8s.io", "tokenreviews"): _reviews,
    ("authorization.k8s.io", "subjectaccessreviews"): _reviews,
    ("authorization.k8s.io", "localsubjectaccessreviews"): _reviews,
}
