"""Defaults of a pod's spec, wherever one stands: in a Pod or in a workload's template."""

from typing import Any

from pilothouse.services.apiserver.strategies.pod.pod_totals import default_pod_resources
from pilothouse.services.apiserver.strategies.strategy import Body

GRACE_SECONDS = 30
SECRET_MODE = 0o644
TOKEN_SECONDS = 3600
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_LEGACY: dict[str, Body] = {
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {
        "cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False,
    },
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}  # fmt: skip
_ALL = ("initContainers", "containers", "ephemeralContainers")


def default_pod(body: Body) -> None:
    """A pod, which is defaulted in more than its template is."""
    spec = body.setdefault("spec", {})
    default_spec(spec)
    host_network = spec.get("hostNetwork", False)
    for member in ("initContainers", "containers"):
        for container in spec.get(member) or ():
            _requests(container["resources"])
            if host_network:
                for port in container.get("ports") or ():
                    if not port.get("hostPort"):
                        port["hostPort"] = port.get("containerPort")
    default_pod_resources(spec)
    spec.setdefault("enableServiceLinks", True)


def default_template(template: Body) -> None:
    """A pod template: its metadata is there, and the spec has its defaults."""
    template.setdefault("metadata", {})
    default_spec(template.setdefault("spec", {}))


def default_spec(spec: Body) -> None:
    """Fill what the writer left out, as Kubernetes does."""
    if not spec.get("restartPolicy"):
        spec["restartPolicy"] = "Always"
    spec.setdefault("terminationGracePeriodSeconds", GRACE_SECONDS)
    if not spec.get("dnsPolicy"):
        spec["dnsPolicy"] = "ClusterFirst"
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    if not spec.get("schedulerName"):
        spec["schedulerName"] = "default-scheduler"
    if account := spec.get("serviceAccountName") or spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for member in _ALL:
        for container in spec.get(member) or ():
            _container(container)
    for volume in spec.get("volumes") or ():
        _volume(volume)


def _container(container: Body) -> None:
    if container.get("resources") is None:
        container["resources"] = {}
    if not container.get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not container.get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(container.get("image", ""))
    for port in container.get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    _actions(container)
    for variable in container.get("env") or ():
        if reference := (variable.get("valueFrom") or {}).get("fieldRef"):
            reference.setdefault("apiVersion", "v1")


def _requests(resources: Body) -> None:
    """What is limited and not requested is requested up to its limit."""
    if limits := resources.get("limits"):
        requests = resources.setdefault("requests", {})
        for name, amount in limits.items():
            requests.setdefault(name, amount)


def _actions(container: Body) -> None:
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if (probe := container.get(name)) is not None:
            _probe(probe)
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict) and hook.get("httpGet") is not None:
            _http(hook["httpGet"])


def pull_policy(image: str) -> str:
    """Always for a moving tag, else IfNotPresent; a digest without a tag does not move."""
    tagged, _, digest = image.partition("@")
    tag = tagged.rpartition("/")[2].partition(":")[2]
    moving = tag == "latest" or not (tag or digest)
    return "Always" if moving else "IfNotPresent"


def _probe(probe: Body) -> None:
    for field, value in _PROBE.items():
        if not probe.get(field):
            probe[field] = value
    if probe.get("httpGet") is not None:
        _http(probe["httpGet"])
    if probe.get("grpc") is not None:
        probe["grpc"].setdefault("service", "")


def _http(action: Body) -> None:
    if not action.get("path"):
        action["path"] = "/"
    if not action.get("scheme"):
        action["scheme"] = "HTTP"


def _volume(volume: Body) -> None:
    if not any(value is not None for name, value in volume.items() if name != "name"):
        volume["emptyDir"] = {}
    for name in ("secret", "configMap", "downwardAPI", "projected"):
        if (source := volume.get(name)) is not None:
            source.setdefault("defaultMode", SECRET_MODE)
    if host_path := volume.get("hostPath"):
        host_path.setdefault("type", "")
    if (image := volume.get("image")) and not image.get("pullPolicy"):
        image["pullPolicy"] = pull_policy(image.get("reference", ""))
    for name in _LEGACY.keys() & volume.keys():
        for field, value in _LEGACY[name].items():
            volume[name].setdefault(field, value)
    _projections(volume)


def _projections(volume: Body) -> None:
    _items((volume.get("downwardAPI") or {}).get("items"))
    for source in (volume.get("projected") or {}).get("sources") or ():
        if token := source.get("serviceAccountToken"):
            token.setdefault("expirationSeconds", TOKEN_SECONDS)
        _items((source.get("downwardAPI") or {}).get("items"))
    if template := (volume.get("ephemeral") or {}).get("volumeClaimTemplate"):
        template.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")


def _items(items: Any) -> None:
    for item in items or ():
        if reference := item.get("fieldRef"):
            reference.setdefault("apiVersion", "v1")
