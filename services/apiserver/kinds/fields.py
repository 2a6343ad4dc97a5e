"""The field labels that lists and watches of a kind may select by, beside name and namespace."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pilothouse.services.apiserver.kinds.kind import Kind

COMMON = ("metadata.name", "metadata.namespace")

_ABOUT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")

_LABELS: dict[tuple[str, str], Mapping[str, str] | tuple[str, ...]] = {
    ("", "pods"): (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    ("", "events"): {
        **{f"involvedObject.{name}": f"involvedObject.{name}" for name in _ABOUT},
        "reason": "reason",
        "reportingComponent": "reportingComponent",
        "source": "source.component",
        "type": "type",
    },
    # Extracted from the shape in which they are stored, that of the core group.
    ("events.k8s.io", "events"): {
        **{f"regarding.{name}": f"involvedObject.{name}" for name in _ABOUT},
        "reason": "reason",
        "reportingController": "reportingComponent",
        "type": "type",
    },
    ("", "nodes"): ("spec.unschedulable",),
    ("", "namespaces"): ("status.phase",),
    ("", "secrets"): ("type",),
    ("", "services"): ("spec.clusterIP", "spec.type"),
    ("", "replicationcontrollers"): ("status.replicas",),
    ("apps", "replicasets"): ("status.replicas",),
    ("batch", "jobs"): {"status.successful": "status.succeeded"},
    ("certificates.k8s.io", "certificatesigningrequests"): ("spec.signerName",),
    ("certificates.k8s.io", "clustertrustbundles"): ("spec.signerName",),
    ("certificates.k8s.io", "podcertificaterequests"): ("spec.signerName", "spec.nodeName"),
    ("resource.k8s.io", "resourceslices"): ("spec.nodeName", "spec.driver"),
}

_ZERO = {
    "spec.unschedulable": "false",
    "spec.hostNetwork": "false",
    "status.replicas": "0",
    "status.succeeded": "0",
}


def field_labels(kind: Kind) -> Mapping[str, str]:
    """Each label that the kind knows and the path it stands for, without the common two."""
    if kind.custom is not None:
        return kind.custom.fields
    found = _LABELS.get((kind.group, kind.plural), ())
    return found if isinstance(found, Mapping) else {label: label for label in found}


def unsupported(kind: Kind, label: str) -> str:
    """What is told of a field label that the kind does not have."""
    if kind.plural == "jobs":
        return f'field label "{label}" not supported for Job'
    if kind.plural == "resourceslices":
        return f"field label not supported for {kind.kind}: {label}"
    if kind.custom is None and (kind.group, kind.plural) not in _LABELS:
        return (
            f'"{label}" is not a known field selector: only "metadata.name", "metadata.namespace"'
        )
    return f"field label not supported: {label}"


def extractor(kind: Kind) -> Callable[[bytes], Mapping[str, str]]:
    """Reads the values at the paths of :func:`field_labels` out of an object's bytes."""
    custom = kind.custom
    paths = sorted(set(field_labels(kind).values() if custom is None else custom.paths))
    if not paths:
        return lambda _: {}
    split = {path: path.split(".") for path in paths}
    if custom is not None:
        # Its fields may have names that are none in Python.
        return lambda json: _read(msgspec.json.decode(json), split)
    decoder = msgspec.json.Decoder(_struct("Fields", list(split.values())))

    def extract(json: bytes) -> Mapping[str, str]:
        view = decoder.decode(json)
        return {path: _value(view, steps, path) for path, steps in split.items()}

    return extract


def _read(document: Any, split: Mapping[str, list[str]]) -> Mapping[str, str]:
    found = {}
    for path, steps in split.items():
        value = document
        for step in steps:
            value = value.get(step) if isinstance(value, dict) else None
        found[path] = _text(value)
    return found


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _value(view: Any, steps: list[str], path: str) -> str:
    for step in steps:
        view = getattr(view, step, None)
    if view is None:
        return _ZERO.get(path, "")
    return _text(view)


def _struct(name: str, paths: list[list[str]]) -> type[msgspec.Struct]:
    """A view with just these paths; all optional."""
    inner: dict[str, list[list[str]]] = {}
    for first, *rest in paths:
        inner.setdefault(first, []).append(rest)
    members = [
        (step, _struct(step, rests) | None if all(rests) else Any, None)
        for step, rests in inner.items()
    ]
    return msgspec.defstruct(name, members)
