"""Certificates of one process, as files."""

from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True, slots=True)
class Identity:
    """Paths of a PEM certificate, its key, and the authority that both sides trust."""

    certificate: Path
    key: Path
    authority: Path

    def server(self) -> grpc.ServerCredentials:
        """Credentials of a server that takes only clients of the same authority."""
        return grpc.ssl_server_credentials(
            [(self.key.read_bytes(), self.certificate.read_bytes())],
            root_certificates=self.authority.read_bytes(),
            require_client_auth=True,
        )

    def client(self) -> grpc.ChannelCredentials:
        """Credentials of a client that shows this certificate."""
        return grpc.ssl_channel_credentials(
            root_certificates=self.authority.read_bytes(),
            private_key=self.key.read_bytes(),
            certificate_chain=self.certificate.read_bytes(),
        )
