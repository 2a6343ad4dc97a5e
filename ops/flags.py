"""The flags that the services start with, for a local cluster and for real machines alike."""

from dataclasses import dataclass
from pathlib import Path

SERVICE_CIDR = "10.96.0.0/12"
API_PORT = 6443
MESH_PORT = 6444


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Where the control plane keeps things and where it is reached."""

    address: str
    pki: Path
    state: Path
    run: Path
    bind_address: str = ""

    def apiserver(self) -> list[str]:
        """The API server's flags."""
        pki = self.pki
        return [
            f"--bind-address={self.bind_address or self.address}",
            f"--secure-port={API_PORT}",
            f"--mesh-address={self.bind_address or self.address}:{MESH_PORT}",
            f"--advertise-address={self.address}",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            f"--data-dir={self.state}",
            f"--run-dir={self.run}",
            f"--client-ca-file={pki}/ca.crt",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--service-account-key-file={pki}/sa.pub",
            f"--service-account-signing-key-file={pki}/sa.key",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
            f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
            f"--kubelet-certificate-authority={pki}/ca.crt",
        ]


def mesh(address: str, pki: Path, stem: str) -> list[str]:
    """The flags by which the holder of ``pki/<stem>.key`` reaches the API server."""
    return [
        f"--server={address}:{MESH_PORT}",
        f"--client-certificate={pki}/{stem}.crt",
        f"--client-key={pki}/{stem}.key",
        f"--certificate-authority={pki}/ca.crt",
    ]


WELCOMING = "--controllers=*,bootstrapsigner,tokencleaner"
"""All controllers: these two have to be asked for."""


def signing(pki: Path) -> list[str]:
    """The flags by which the controllers sign for the whole cluster, and welcome who joins it."""
    return [
        WELCOMING,
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
    ]
