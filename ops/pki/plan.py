"""Which certificates a cluster has, as values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Usage = Literal["client", "server"]

CLUSTER_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
CLUSTER_ADDRESSES = ("127.0.0.1", "::1", "10.96.0.1")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate to be signed: its file's stem, its subject, and what it may be used for."""

    stem: str
    common_name: str
    organization: str = ""
    usages: Sequence[Usage] = ("client",)
    names: Sequence[str] = ()
    addresses: Sequence[str] = ()


def control_plane(addresses: Sequence[str], names: Sequence[str] = ()) -> list[Certificate]:
    """The certificates of the control plane that is reached at ``addresses`` and ``names``."""
    return [
        Certificate(
            "apiserver",
            "kube-apiserver",
            usages=("server", "client"),
            names=(*CLUSTER_NAMES, *names),
            addresses=(*CLUSTER_ADDRESSES, *addresses),
        ),
        Certificate("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
        Certificate("scheduler", "system:kube-scheduler", usages=("client", "server")),
        Certificate("controllers", "system:kube-controller-manager", usages=("client", "server")),
        Certificate("admin", "kubernetes-admin", "system:masters"),
    ]


def node(name: str, address: str) -> list[Certificate]:
    """The certificates of one node: its kubelet's and its proxy's."""
    return [
        Certificate(
            f"kubelet-{name}",
            f"system:node:{name}",
            "system:nodes",
            usages=("client", "server"),
            names=(name,),
            addresses=(address,),
        ),
        Certificate(f"proxy-{name}", "system:kube-proxy", "system:node-proxier"),
    ]
