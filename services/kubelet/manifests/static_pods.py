"""Static pods as values: from a manifest to the pod that runs and the mirror that shows it.

The node alone decides that a static pod runs. Its mirror in the API server is a picture: deleting
it changes nothing but the picture, which is drawn again.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pilothouse.services.kubelet.manifests.references import referenced
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.machinery.errors import Invalid

HASH = "kubernetes.io/config.hash"
SOURCE = "kubernetes.io/config.source"
SEEN = "kubernetes.io/config.seen"
MIRROR = "kubernetes.io/config.mirror"
FILE, HTTP = "file", "http"
HASH_CHARACTERS = 32
NAMESPACE = "default"
_RESTARTS = ("Always", "OnFailure", "Never")
_DYING = {"operator": "Exists", "effect": "NoExecute"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a manifest was found: by which ``source``, and at which ``place`` of it."""

    node: str
    source: str
    place: str


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


def each(document: Any) -> Iterator[Any]:
    """The pods of one document: itself, or those of a list."""
    if isinstance(document, dict) and document.get("kind") in ("PodList", "List"):
        for item in document.get("items") or ():
            yield {"apiVersion": "v1", "kind": "Pod", **item} if isinstance(item, dict) else item
    else:
        yield document


def parse(manifest: Any, origin: Origin, seen: str = "") -> StaticPod:
    """One pod, decoded from YAML or JSON; Invalid when it is none, or one that may not be static.

    ``seen``: when it was first seen, as text.
    """
    if not isinstance(manifest, dict) or manifest.get("kind") != "Pod":
        raise Invalid("couldn't parse as pod, please check config file")
    metadata, spec = dict(manifest.get("metadata") or {}), dict(manifest.get("spec") or {})
    _check(metadata, spec)
    text = msgspec.json.encode([origin.node, origin.source, metadata, spec], order="sorted")
    digest = hashlib.sha256(text).hexdigest()[:HASH_CHARACTERS]
    uid = metadata.pop("uid", "") or digest
    metadata["name"] = f"{metadata['name']}-{origin.node.lower()}"
    metadata["namespace"] = metadata.get("namespace") or NAMESPACE
    marks = {HASH: uid, SOURCE: origin.source} | ({SEEN: seen} if seen else {})
    annotations = dict(metadata.get("annotations") or {}) | marks
    spec = _completed(spec, origin.node)
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata | {"annotations": annotations | {MIRROR: uid}},
        "spec": spec,
    }
    own = body | {"metadata": metadata | {"annotations": annotations, "uid": uid}}
    try:
        pod = msgspec.convert(own, Pod)
    except msgspec.ValidationError as error:
        raise Invalid(f"invalid pod: {error}") from None
    return StaticPod(pod, body, own)


def _check(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    if not metadata.get("name"):
        raise Invalid("invalid pod: metadata.name: Required value")
    if not spec.get("containers"):
        raise Invalid("invalid pod: spec.containers: Required value")
    names = [item.get("name") for item in containers if isinstance(item, dict)]
    if not all(names) or len(names) < len(containers):
        raise Invalid("invalid pod: spec.containers: every container needs a name")
    if len(set(names)) < len(names):
        raise Invalid("invalid pod: spec.containers: Duplicate value: names of containers")
    if not all(item.get("image") for item in containers):
        raise Invalid("invalid pod: spec.containers.image: Required value")
    if spec.get("restartPolicy", "Always") not in _RESTARTS:
        raise Invalid(f"invalid pod: spec.restartPolicy: Unsupported: {spec['restartPolicy']}")
    if spec.get("ephemeralContainers"):
        raise Invalid("invalid pod: spec.ephemeralContainers: Forbidden")
    resource = referenced(spec)
    if resource:
        raise Invalid(f"static pods may not reference {resource}")


def _completed(spec: Mapping[str, Any], node: str) -> dict[str, Any]:
    """With what the API server would have added, as far as the kubelet goes by it."""
    tolerations = [item for item in spec.get("tolerations") or () if item != _DYING]
    made = dict(spec) | {"nodeName": node, "tolerations": [*tolerations, _DYING]}
    for group in ("initContainers", "containers"):
        if spec.get(group):
            made[group] = [{"imagePullPolicy": _policy(item), **item} for item in spec[group]]
    return made


def _policy(container: Mapping[str, Any]) -> str:
    """An image that may be another one tomorrow is pulled every time."""
    image = str(container["image"])
    name = image.partition("@")[0].rpartition("/")[2]
    tag = name.partition(":")[2]
    return "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent"


def recalled(status: Mapping[str, Any]) -> dict[str, Any]:
    """What the mirror remembers of the pod. That it has failed is none of it: a static pod that
    was ended (evicted, or because the machine went down) runs again under the next kubelet.
    """
    forgotten = ("phase", "reason", "message") if status.get("phase") == "Failed" else ()
    return {name: value for name, value in status.items() if name not in forgotten}


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
