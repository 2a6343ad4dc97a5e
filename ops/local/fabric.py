"""The network between the nodes: one namespace with a bridge, one namespace a node.

    fabric namespace        bridge `fabric` 10.90.0.1/24, one port `node-N` a node
    namespace of node N     eth0 10.90.0.(10+N)/24, default route to the fabric

Everything is made from inside the namespaces, so the host sees no link, address or route of it.
"""

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from pilothouse.ops.local import kernel
from pilothouse.ops.local.cluster import (
    CONTROL_PLANE_ADDRESS,
    FABRIC_BRIDGE,
    FABRIC_PREFIX,
    Cluster,
    Node,
)
from pilothouse.ops.local.ledger import Change, Ledger

NETNS_DIRECTORY = Path("/run/netns")

NODE_SYSCTLS = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    # Replies between two pods of one bridge must pass the rules that undo a Service's address.
    "bridge/bridge-nf-call-iptables": "1",
}


def netns_path(name: str) -> Path:
    """Where the namespace of this name is mounted."""
    return NETNS_DIRECTORY / name


def is_netns(path: Path) -> bool:
    """Whether a namespace is mounted there, not just the file that a reboot leaves."""
    return path.exists() and str(path) in kernel.mounts_below(str(path))


def lay(cluster: Cluster, ledger: Ledger) -> None:
    """Make what is missing of the cluster's network; what is there stays."""
    if not NETNS_DIRECTORY.exists():
        ledger.write(Change("parent", str(NETNS_DIRECTORY)))
        NETNS_DIRECTORY.mkdir()
    if _make(cluster.slug, ledger):
        _batch(cluster.slug, _fabric_commands())
    for node in cluster.members:
        if _make(node.netns, ledger):
            _batch(cluster.slug, _port_commands(node))
            _batch(node.netns, _node_commands(node))
            _write_sysctls(netns_path(node.netns), NODE_SYSCTLS)


def remove(name: str) -> None:
    """Let the namespace go; the kernel removes it with the last process inside."""
    path = netns_path(name)
    if is_netns(path):
        kernel.unmount(str(path))
    path.unlink(missing_ok=True)


def _make(name: str, ledger: Ledger) -> bool:
    path = netns_path(name)
    if is_netns(path):
        return False
    ledger.write(Change("netns", name))
    kernel.make_netns(path)
    return True


def _fabric_commands() -> list[str]:
    return [
        "link set lo up",
        f"link add {FABRIC_BRIDGE} type bridge",
        f"addr add {CONTROL_PLANE_ADDRESS}/{FABRIC_PREFIX} dev {FABRIC_BRIDGE}",
        f"link set {FABRIC_BRIDGE} up",
    ]


def _port_commands(node: Node) -> list[str]:
    return [
        f"link add {node.name} type veth peer name eth0 netns {node.netns}",
        f"link set {node.name} master {FABRIC_BRIDGE} up",
    ]


def _node_commands(node: Node) -> list[str]:
    return [
        "link set lo up",
        f"addr add {node.address}/{FABRIC_PREFIX} dev eth0",
        "link set eth0 up",
        f"route add default via {CONTROL_PLANE_ADDRESS}",
    ]


def _batch(netns: str, commands: Iterable[str]) -> None:
    subprocess.run(
        ["ip", "-n", netns, "-batch", "-"], input="\n".join(commands), text=True, check=True
    )


def _write_sysctls(path: Path, values: Mapping[str, str]) -> None:
    child = os.fork()
    if child == 0:
        try:
            kernel.enter_netns(path)
            for name, value in values.items():
                setting = Path("/proc/sys/net") / name
                if setting.exists():
                    setting.write_text(value)
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise OSError(f"{path}: its network settings can not be written")
