"""Kubernetes' defaults of a pod's spec, as pods and templates of pods have them."""

from collections.abc import Iterable
from typing import Any

from pilothouse.services.apiserver.strategies.strategy import Document

FILE_MODE = 0o644
_TOKEN_SECONDS = 3600
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_SPEC = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
}


def default_spec(spec: Document) -> None:
    """Fill in a pod's or a template's spec."""
    for name, value in _SPEC.items():
        spec.setdefault(name, value)
    spec.setdefault("securityContext", {})
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    host_network = spec.get("hostNetwork", False)
    for container in containers(spec):
        _container(container, host_network=host_network)
    for volume in spec.get("volumes") or ():
        _volume(volume)


def default_pod(pod: Document) -> None:
    """Fill in a pod: as a template, and requests from limits."""
    spec = pod.setdefault("spec", {})
    default_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    for container in containers(spec):
        limits = container["resources"].get("limits")
        if limits:
            requests = container["resources"].setdefault("requests", {})
            for name, amount in limits.items():
                requests.setdefault(name, amount)


def default_template(template: Document) -> None:
    """Fill in a pod template."""
    default_spec(template.setdefault("spec", {}))


def containers(spec: Document) -> Iterable[Document]:
    """Every container of a pod's spec: init, ordinary and ephemeral."""
    for member in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(member) or ()


def pull_policy(image: str) -> str:
    """``Always`` for the tag latest, written or meant, else ``IfNotPresent``."""
    if "@" in image:
        return "IfNotPresent"
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in {"", "latest"} else "IfNotPresent"


def _container(container: Document, *, host_network: bool) -> None:
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    if "imagePullPolicy" not in container:
        container["imagePullPolicy"] = pull_policy(container.get("image", ""))
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if host_network and "containerPort" in port:
            port.setdefault("hostPort", port["containerPort"])
    for variable in container.get("env") or ():
        if "valueFrom" in variable:
            _field_reference(variable["valueFrom"])
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            _probe(container[name])
    if "lifecycle" in container:
        for hook in container["lifecycle"].values():
            _action(hook)


def _probe(probe: Document) -> None:
    for name, value in _PROBE.items():
        # Zero is how Go says that a number was not given.
        if not probe.get(name):
            probe[name] = value
    _action(probe)
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _action(action: Any) -> None:
    if isinstance(action, dict) and "httpGet" in action:
        action["httpGet"].setdefault("path", "/")
        action["httpGet"].setdefault("scheme", "HTTP")


def _field_reference(source: Document) -> None:
    if "fieldRef" in source:
        source["fieldRef"].setdefault("apiVersion", "v1")


def _volume(volume: Document) -> None:
    if len(volume) == 1:
        volume["emptyDir"] = {}
    for name in ("secret", "configMap", "downwardAPI", "projected"):
        if name in volume:
            volume[name].setdefault("defaultMode", FILE_MODE)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    for item in volume.get("downwardAPI", {}).get("items") or ():
        _field_reference(item)
    for source in volume.get("projected", {}).get("sources") or ():
        for item in source.get("downwardAPI", {}).get("items") or ():
            _field_reference(item)
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", _TOKEN_SECONDS)
    claim = volume.get("ephemeral", {}).get("volumeClaimTemplate")
    if claim:
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
