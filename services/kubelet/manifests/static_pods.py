"""Static pods as values: from a manifest to the pod that runs and the mirror that shows it.

The node alone decides that a static pod runs. Its mirror in the API server is a picture: deleting
it changes nothing but the picture, which is drawn again.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.machinery.errors import Invalid

HASH = "kubernetes.io/config.hash"
SOURCE = "kubernetes.io/config.source"
MIRROR = "kubernetes.io/config.mirror"


@dataclass(frozen=True, slots=True)
class StaticPod:
    """``pod`` runs here under a uid made of its content, ``own`` is its whole object, and
    ``body`` its mirror to be.
    """

    pod: Pod
    body: dict[str, Any]
    own: dict[str, Any]

    @property
    def hash(self) -> str:
        return self.pod.uid


def parse(manifest: Any, node: str) -> StaticPod:
    """One manifest, already decoded from YAML or JSON; Invalid when it is no pod."""
    if not isinstance(manifest, dict) or manifest.get("kind") != "Pod":
        raise Invalid("a static pod manifest must be one Pod")
    metadata = dict(manifest.get("metadata") or {})
    spec = dict(manifest.get("spec") or {})
    if not metadata.get("name") or not spec.get("containers"):
        raise Invalid("a static pod needs metadata.name and spec.containers")
    if spec.get("serviceAccountName"):
        raise Invalid("a static pod may not have a service account")
    text = msgspec.json.encode([node, metadata, spec], order="sorted")
    digest = hashlib.sha256(text).hexdigest()[:32]
    metadata["name"] = f"{metadata['name']}-{node}"
    metadata["namespace"] = metadata.get("namespace") or "default"
    annotations = dict(metadata.get("annotations") or {}) | {HASH: digest, SOURCE: "file"}
    spec["nodeName"] = node
    tolerations = [*(spec.get("tolerations") or ()), {"operator": "Exists", "effect": "NoExecute"}]
    spec["tolerations"] = tolerations
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata | {"annotations": annotations | {MIRROR: digest}},
        "spec": spec,
    }
    own = body | {"metadata": metadata | {"annotations": annotations, "uid": digest}}
    try:
        pod = msgspec.convert(own, Pod)
    except msgspec.ValidationError as error:
        raise Invalid(f"static pod {metadata['name']}: {error}") from None
    return StaticPod(pod, body, own)


def is_mirror(pod: Pod) -> bool:
    """Whether this object only shows a static pod."""
    return MIRROR in pod.metadata.annotations


def is_static(pod: Pod) -> bool:
    """Whether this pod runs because this node says so."""
    return SOURCE in pod.metadata.annotations and not is_mirror(pod)


@dataclass(frozen=True, slots=True)
class MirrorPlan:
    """What to do about one mirror."""

    delete: Pod | None = None
    create: bool = False


def plan(wanted: StaticPod | None, mirror: Pod | None) -> MirrorPlan:
    """A mirror of another content, a dying one or one of nothing goes; an absent one comes."""
    if mirror is None:
        return MirrorPlan(create=wanted is not None)
    stale = (
        wanted is None
        or mirror.metadata.deleting
        or mirror.metadata.annotations.get(MIRROR) != wanted.hash
    )
    return MirrorPlan(delete=mirror if stale else None)
