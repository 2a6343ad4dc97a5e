"""Who the simulated nodes are. Pure."""

from ipaddress import IPv4Network

from pilothouse.services.kubelet.hollow.config import Config
from pilothouse.services.kubelet.node.node import RENEW_SECONDS, Identity, Machine

NO_PORT = 0
"""Nobody answers at a hollow kubelet's address: logs and exec are refused for this."""
TYPE = {"type": "kwok"}
"""As users of KWOK select, and keep off, nodes that are not real."""
ZONE = "topology.kubernetes.io/zone"
SPREAD_SECONDS = 20.0
_GOLDEN = 0.6180339887498949


def machine(config: Config) -> Machine:
    """What each of them is."""
    shape = config.shape
    return Machine(
        cpus=shape.cpus,
        memory_bytes=shape.memory_bytes,
        storage_bytes=shape.storage_bytes,
        architecture="amd64",
        machine_id="",
        system_uuid="",
        boot_id="",
        kernel_version="simulated",
        os_image="simulated",
    )


def identity(config: Config, number: int) -> Identity:
    """Of the node of this number."""
    zone = {ZONE: f"zone-{number % config.zones}"} if config.zones else {}
    return Identity(
        name=f"{config.prefix}{number}",
        ip=_address(config.node_cidr, number),
        port=NO_PORT,
        pods_max=config.shape.pods_max,
        labels={**TYPE, **zone, **config.labels},
        taints=tuple(config.taints),
    )


def _address(network: IPv4Network, number: int) -> str:
    return str(network.network_address + number + 1)


def first_renewal_seconds(number: int) -> float:
    """When a node's second lease is due: nodes that came at once do not renew at once."""
    return RENEW_SECONDS + SPREAD_SECONDS * (number * _GOLDEN % 1.0)
