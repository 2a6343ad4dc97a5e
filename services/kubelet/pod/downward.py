"""What a pod may learn of itself: ``fieldRef`` and ``resourceFieldRef``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING

from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.volumes.sources import ResourceSelector
from pilothouse.services.machinery import quantity
from pilothouse.services.machinery.errors import BadRequest

_KEYED = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the pod runs: addresses, and what the node can give at most (quantities)."""

    host_ip: str
    pod_ips: tuple[str, ...] = ()
    allocatable: Mapping[str, str] | None = None


def field_text(pod: Pod, path: str, around: Surroundings) -> str:
    """The text of a ``fieldPath``; BadRequest for a path that is none."""
    keyed = _KEYED.fullmatch(path)
    if keyed is not None:
        source = pod.metadata.labels if keyed[1] == "labels" else pod.metadata.annotations
        return source.get(keyed[2], "")
    simple = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "metadata.labels": _lines(pod.metadata.labels),
        "metadata.annotations": _lines(pod.metadata.annotations),
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.hostIP": around.host_ip,
        "status.hostIPs": around.host_ip,
        "status.podIP": around.pod_ips[0] if around.pod_ips else "",
        "status.podIPs": ",".join(around.pod_ips),
    }
    if path not in simple:
        raise BadRequest(f"unsupported fieldPath: {path}")
    return simple[path]


def _lines(pairs: dict[str, str]) -> str:
    quoted = {
        key: value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        for key, value in pairs.items()
    }
    return "\n".join(f'{key}="{quoted[key]}"' for key in sorted(quoted))


def resource_text(
    pod: Pod, selector: ResourceSelector, default_container: str, around: Surroundings
) -> str:
    """The amount in units of the divisor, rounded up; a missing limit is what the node has."""
    container = pod.container(selector.container_name or default_container)
    kind, _, name = selector.resource.partition(".")
    if kind not in {"limits", "requests"} or not name:
        raise BadRequest(f"unsupported container resource: {selector.resource}")
    amounts = container.resources.limits if kind == "limits" else container.resources.requests
    amount = amounts.get(name)
    if amount is None:
        amount = (around.allocatable or {}).get(name, "0") if kind == "limits" else "0"
    divisor = quantity.parse(selector.divisor)
    if divisor == 0:
        divisor = quantity.parse("1")
    return str(int((quantity.parse(amount) / divisor).to_integral_value(ROUND_CEILING)))
