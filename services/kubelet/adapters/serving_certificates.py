"""Certificates of the signer ``kubernetes.io/kubelet-serving``, and the file they are kept in."""

import base64
import ipaddress
import os
import ssl
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID

from pilothouse.services.kubelet.certificates.serving import Pair
from pilothouse.services.machinery.errors import BadRequest, ServiceUnavailable
from pilothouse.services.machinery.kinds.certificates import KUBELET_SERVING
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import CERTIFICATE_SIGNING_REQUESTS
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import Clock

FILE = "kubelet-server-current.pem"
WAIT_SECONDS = 900.0
LOOK_FIRST_SECONDS, LOOK_MAX_SECONDS = 0.5, 10.0
USAGES = ("digital signature", "server auth")


class ServingSigner:
    """One request at a time; whoever approves it has a quarter of an hour."""

    def __init__(self, objects: Objects, node: str, address: str, clock: Clock) -> None:
        self._objects = objects
        self._node = node
        self._address = address
        self._clock = clock

    async def obtain(self) -> Pair:
        """Ask, and wait."""
        key = ec.generate_private_key(ec.SECP256R1())
        body = {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"generateName": "csr-"},
            "spec": {
                "request": base64.b64encode(self._request(key)).decode(),
                "signerName": KUBELET_SERVING,
                "usages": list(USAGES),
            },
        }
        made = await self._objects.create(CERTIFICATE_SIGNING_REQUESTS, "", body)
        chain = await self._wait(msgspec.json.decode(made)["metadata"]["name"])
        return pair_of(_pem(key), chain)

    def _request(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
                x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{self._node}"),
            ]
        )
        names = x509.SubjectAlternativeName(
            [x509.DNSName(self._node), x509.IPAddress(ipaddress.ip_address(self._address))]
        )
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        request = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.PEM)

    async def _wait(self, name: str) -> bytes:
        until = self._clock.monotonic() + WAIT_SECONDS
        wait = LOOK_FIRST_SECONDS
        while self._clock.monotonic() < until:
            text = await self._objects.get(CERTIFICATE_SIGNING_REQUESTS, Key("", name))
            status = msgspec.json.decode(text).get("status") or {}
            if status.get("certificate"):
                return base64.b64decode(status["certificate"])
            for condition in status.get("conditions") or ():
                if condition["type"] in ("Denied", "Failed"):
                    told = condition.get("message") or condition.get("reason") or ""
                    raise BadRequest(f"request {name} was {condition['type'].lower()}: {told}")
            await self._clock.sleep(wait)
            wait = min(wait * 2, LOOK_MAX_SECONDS)
        raise ServiceUnavailable(f"nobody approved the request {name}")


class ServingFile:
    """One file with chain and key below ``directory``, loaded into the server's context."""

    def __init__(self, directory: Path, context: ssl.SSLContext) -> None:
        self._path = directory / FILE
        self._context = context

    def find(self) -> Pair | None:
        """What was kept last."""
        try:
            text = self._path.read_bytes()
            key = serialization.load_pem_private_key(text, None)
            return pair_of(_pem(key), text)
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, pair: Pair) -> None:
        """Written whole or not at all; connections from now on are served with it."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pair.chain + pair.key)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        self._context.load_cert_chain(self._path)


def pair_of(key: bytes, text: bytes) -> Pair:
    """The certificates of a text in PEM, with their key; ValueError when there are none."""
    chain = x509.load_pem_x509_certificates(text)
    return Pair(
        key=key,
        chain=b"".join(item.public_bytes(serialization.Encoding.PEM) for item in chain),
        begins_at=chain[0].not_valid_before_utc.timestamp(),
        ends_at=chain[0].not_valid_after_utc.timestamp(),
    )


def _pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
