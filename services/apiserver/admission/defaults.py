"""Classes that are the default of their cluster: of storage, and of ingresses."""

import msgspec

from pilothouse.services.apiserver.admission.request import Admission, Document

_STORAGE = "storageclass.kubernetes.io/is-default-class"
_STORAGE_BETA = "storageclass.beta.kubernetes.io/is-default-class"
_CLAIM_CLASS = "volume.beta.kubernetes.io/storage-class"
_INGRESS = "ingressclass.kubernetes.io/is-default-class"
_INGRESS_CLASS = "kubernetes.io/ingress.class"


def _defaults(request: Admission, group: str, plural: str, *keys: str) -> list[Document]:
    """The classes that are marked so, the newest first, of one age by name."""
    found = []
    for stored in request.live.objects(group, plural):
        if b"is-default-class" in stored.json:
            document = msgspec.json.decode(stored.json)
            marks = document["metadata"].get("annotations") or {}
            if any(marks.get(key) == "true" for key in keys):
                found.append(document)
    found.sort(key=lambda item: item["metadata"]["name"])
    found.sort(key=lambda item: item["metadata"]["creationTimestamp"], reverse=True)
    return found


def admit_claim(request: Admission) -> None:
    """A claim that names no class gets the default one."""
    spec = request.document["spec"]
    marks = request.document["metadata"].get("annotations") or {}
    if spec.get("storageClassName") is not None or _CLAIM_CLASS in marks:
        return
    found = _defaults(request, "storage.k8s.io", "storageclasses", _STORAGE, _STORAGE_BETA)
    if found:
        spec["storageClassName"] = found[0]["metadata"]["name"]


def admit_ingress(request: Admission) -> None:
    """An Ingress that names no class gets the default one; there must not be several."""
    spec = request.document.setdefault("spec", {})
    marks = request.document["metadata"].get("annotations") or {}
    if spec.get("ingressClassName") is not None or _INGRESS_CLASS in marks:
        return
    found = _defaults(request, "networking.k8s.io", "ingressclasses", _INGRESS)
    if found:
        spec["ingressClassName"] = found[0]["metadata"]["name"]
