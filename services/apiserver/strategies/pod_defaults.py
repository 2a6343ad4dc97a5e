"""Defaults of a pod's spec, wherever one stands: in a Pod or in a workload's template."""

from typing import Any

from pilothouse.services.apiserver.strategies.strategy import Body

GRACE_SECONDS = 30
SECRET_MODE = 0o644
TOKEN_SECONDS = 3600


def default_spec(spec: Body) -> None:
    """Fill what the writer left out, as Kubernetes does."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", GRACE_SECONDS)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    spec.setdefault("schedulerName", "default-scheduler")
    if account := spec.get("serviceAccountName") or spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    host_network = spec.get("hostNetwork", False)
    for container in spec.get("initContainers") or ():
        _container(container, host_network=host_network)
    for container in spec.get("containers") or ():
        _container(container, host_network=host_network)
    for container in spec.get("ephemeralContainers") or ():
        _container(container, host_network=host_network)
    for volume in spec.get("volumes") or ():
        _volume(volume)


def _container(container: Body, *, host_network: bool) -> None:
    if container.get("resources") is None:
        container["resources"] = {}
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = _pull_policy(container.get("image", ""))
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if host_network:
            port.setdefault("hostPort", port.get("containerPort"))
    _requests(container["resources"])
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
        if probe := container.get(name):
            _probe(probe)
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict) and hook.get("httpGet"):
            _http(hook["httpGet"])


def _pull_policy(image: str) -> str:
    """Always for a moving tag, else IfNotPresent."""
    if "@" in image:
        return "IfNotPresent"
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in {"", "latest"} else "IfNotPresent"


def _probe(probe: Body) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    if probe.get("httpGet"):
        _http(probe["httpGet"])
    if probe.get("grpc"):
        probe["grpc"].setdefault("service", "")


def _http(action: Body) -> None:
    action.setdefault("path", "/")
    action.setdefault("scheme", "HTTP")


def _volume(volume: Body) -> None:
    if not any(value is not None for name, value in volume.items() if name != "name"):
        volume["emptyDir"] = {}
    for name in ("secret", "configMap", "downwardAPI", "projected"):
        if source := volume.get(name):
            source.setdefault("defaultMode", SECRET_MODE)
    if host_path := volume.get("hostPath"):
        host_path.setdefault("type", "")
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
