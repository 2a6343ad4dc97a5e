"""Volumes in use are protected, and grow only where their class allows it."""

from typing import Any

import msgspec

from pilothouse.services.apiserver.admission.request import Admission, Document
from pilothouse.services.machinery import quantity
from pilothouse.services.machinery.objects import Key

PROTECTION = {
    "persistentvolumes": "kubernetes.io/pv-protection",
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "volumeattributesclasses": "kubernetes.io/vac-protection",
}


def admit_protection(request: Admission) -> None:
    """A finalizer holds it for as long as somebody uses it."""
    finalizers = request.document["metadata"].setdefault("finalizers", [])
    wanted = PROTECTION[request.kind.plural]
    if wanted not in finalizers:
        finalizers.append(wanted)


def _size(document: Document | None) -> Any:
    spec = (document or {}).get("spec") or {}
    return ((spec.get("resources") or {}).get("requests") or {}).get("storage", 0)


def review_resize(request: Admission) -> None:
    """A claim grows only when it is bound and its class says that volumes can."""
    old = request.old or {}
    if quantity.parse(_size(request.document)) <= quantity.parse(_size(old)):
        return
    if (old.get("status") or {}).get("phase") != "Bound":
        raise request.forbidden("Only bound persistent volume claims can be expanded")
    name = (request.document.get("spec") or {}).get("storageClassName")
    stored = request.live.find("storage.k8s.io", "storageclasses", Key("", name)) if name else None
    allowed = stored and msgspec.json.decode(stored.json).get("allowVolumeExpansion")
    if not allowed:
        raise request.forbidden(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions "
            "the pvc must support resize"
        )
