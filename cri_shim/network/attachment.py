"""What plugins are told of a sandbox."""

from typing import Any

from pilothouse.cri_shim.configs import PodSandboxConfig
from pilothouse.cri_shim.records import SandboxRecord
from pilothouse.services.machinery import quantity
from pilothouse.services.machinery.errors import Invalid

PROTOCOLS = ("tcp", "udp", "sctp")
INGRESS, EGRESS = "kubernetes.io/ingress-bandwidth", "kubernetes.io/egress-bandwidth"
BURST = 1 << 31


def arguments(record: SandboxRecord) -> tuple[tuple[str, str], ...]:
    """CNI_ARGS: who the pod is."""
    pod = record.config.metadata
    return (
        ("IgnoreUnknown", "1"),
        ("K8S_POD_NAMESPACE", pod.namespace),
        ("K8S_POD_NAME", pod.name),
        ("K8S_POD_INFRA_CONTAINER_ID", record.id),
        ("K8S_POD_UID", pod.uid),
    )


def capabilities(config: PodSandboxConfig) -> dict[str, Any]:
    """Offered to plugins that declare them."""
    found: dict[str, Any] = {
        "portMappings": [
            {
                "hostPort": item.host_port,
                "containerPort": item.container_port,
                "protocol": PROTOCOLS[item.protocol],
                "hostIP": item.host_ip,
            }
            for item in config.port_mappings
            if item.host_port > 0
        ]
    }
    if config.dns_config is not None:
        found["dns"] = {
            "servers": list(config.dns_config.servers),
            "searches": list(config.dns_config.searches),
            "options": list(config.dns_config.options),
        }
    bandwidth = _bandwidth(config.annotations)
    if bandwidth:
        found["bandwidth"] = bandwidth
    return found


def _bandwidth(annotations: dict[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, direction in ((INGRESS, "ingress"), (EGRESS, "egress")):
        if name in annotations:
            try:
                rate = quantity.ceiling(annotations[name])
            except ValueError:
                raise Invalid(f"annotation {name}: {annotations[name]!r} is no rate") from None
            found |= {f"{direction}Rate": rate, f"{direction}Burst": BURST}
    return found
