"""Certificates of the cluster's signers for this kubelet, and the files they are kept in."""

import base64
import ipaddress
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID
from typing_extensions import override

from pilothouse.services.kubelet.certificates.serving import Pair
from pilothouse.services.machinery.errors import BadRequest, ServiceUnavailable
from pilothouse.services.machinery.kinds.certificates import KUBELET_CLIENT, KUBELET_SERVING
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import CERTIFICATE_SIGNING_REQUESTS
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.client.objects import Objects
from pilothouse.services.runtime.clock import Clock
from pilothouse.services.runtime.rpc.tls import Identity

SERVER_FILE = "kubelet-server-current.pem"
CLIENT_FILE = "kubelet-client-current.pem"
WAIT_SECONDS = 900.0
LOOK_FIRST_SECONDS, LOOK_MAX_SECONDS = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What for, and for whom; ``address``: where others reach the node, empty for a client."""

    signer: str
    purpose: str
    node: str
    address: str = ""


def to_serve(node: str, address: str) -> Wish:
    """As a server of this name and address."""
    return Wish(KUBELET_SERVING, "server auth", node, address)


def to_ask(node: str) -> Wish:
    """As a client of the API server."""
    return Wish(KUBELET_CLIENT, "client auth", node)


class MeshSigner:
    """One request at a time; whoever approves it has a quarter of an hour."""

    def __init__(self, objects: Objects, wish: Wish, clock: Clock) -> None:
        self._objects = objects
        self._wish = wish
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
                "signerName": self._wish.signer,
                "usages": ["digital signature", self._wish.purpose],
            },
        }
        made = await self._objects.create(CERTIFICATE_SIGNING_REQUESTS, "", body)
        chain = await self._wait(msgspec.json.decode(made)["metadata"]["name"])
        return pair_of(_pem(key), chain)

    def _request(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        wish = self._wish
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
                x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{wish.node}"),
            ]
        )
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        if wish.address:
            address = x509.IPAddress(ipaddress.ip_address(wish.address))
            names = x509.SubjectAlternativeName([x509.DNSName(wish.node), address])
            builder = builder.add_extension(names, critical=False)
        request = builder.sign(key, hashes.SHA256())
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


class PairFile:
    """One file with chain and key, and who uses it: ``use`` is called with its path."""

    def __init__(self, path: Path, use: Callable[[Path], object]) -> None:
        self._path = path
        self._use = use

    def find(self) -> Pair | None:
        """What was kept last."""
        try:
            text = self._path.read_bytes()
            key = serialization.load_pem_private_key(text, None)
            return pair_of(_pem(key), text)
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, pair: Pair) -> None:
        """Written whole or not at all, and used from now on."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pair.chain + pair.key)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        self._use(self._path)


class ClientFile(PairFile):
    """The certificate that the kubelet was given, or one that it obtained since."""

    def __init__(self, path: Path, given: Identity) -> None:
        super().__init__(path, self._told)
        self._given = given

    def _told(self, path: Path) -> None:
        telemetry.logger(part="certificates").info("client certificate kept", path=str(path))

    @override
    def find(self) -> Pair | None:
        """The one that ends last."""
        found = [pair for pair in (super().find(), self._first()) if pair is not None]
        return max(found, key=lambda pair: pair.ends_at, default=None)

    def _first(self) -> Pair | None:
        try:
            return pair_of(self._given.key.read_bytes(), self._given.certificate.read_bytes())
        except (OSError, ValueError):
            return None

    def identity(self) -> Identity:
        """With which to dial: what was obtained, unless what was given ends later."""
        kept, first = super().find(), self._first()
        if kept is None or (first is not None and first.ends_at >= kept.ends_at):
            return self._given
        return Identity(self._path, self._path, self._given.authority)


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
