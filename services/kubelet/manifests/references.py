"""What of the API a pod needs: a static pod may need nothing of it. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

_VOLUMES = {
    "secret": "secrets",
    "configMap": "configmaps",
    "persistentVolumeClaim": "persistentvolumeclaims",
    "ephemeral": "persistentvolumeclaims",
}
_PROJECTED = {
    "secret": "secrets",
    "configMap": "configmaps",
    "serviceAccountToken": "serviceaccounts",
    "clusterTrustBundle": "clustertrustbundles",
    "podCertificate": "podcertificaterequests",
}
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_ORDER = ("serviceaccounts", "secrets", "configmaps", "resourceclaims")


def referenced(spec: Mapping[str, Any]) -> str:
    """The plural name of a kind of which the pod names an object; empty when of none."""
    found = set(_all(spec))
    for name in _ORDER:
        if name in found:
            return name
    return min(found, default="")


def _all(spec: Mapping[str, Any]) -> Iterator[str]:
    if spec.get("serviceAccountName") or spec.get("serviceAccount"):
        yield "serviceaccounts"
    if spec.get("imagePullSecrets"):
        yield "secrets"
    if spec.get("resourceClaims"):
        yield "resourceclaims"
    for group in _CONTAINERS:
        for container in spec.get(group) or ():
            yield from _of_container(container)
    for volume in spec.get("volumes") or ():
        yield from (name for field, name in _VOLUMES.items() if volume.get(field) is not None)
        if _names_secret(volume):
            yield "secrets"
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from (name for field, name in _PROJECTED.items() if source.get(field) is not None)


def _of_container(container: Mapping[str, Any]) -> Iterator[str]:
    for item in container.get("envFrom") or ():
        if item.get("secretRef") is not None:
            yield "secrets"
        if item.get("configMapRef") is not None:
            yield "configmaps"
    for item in container.get("env") or ():
        source = item.get("valueFrom") or {}
        if source.get("secretKeyRef") is not None:
            yield "secrets"
        if source.get("configMapKeyRef") is not None:
            yield "configmaps"


def _names_secret(volume: Mapping[str, Any]) -> bool:
    """Drivers of volumes have them under several names."""
    for source in volume.values():
        if isinstance(source, dict) and (
            source.get("secretRef") or source.get("nodePublishSecretRef")
        ):
            return True
    return False
