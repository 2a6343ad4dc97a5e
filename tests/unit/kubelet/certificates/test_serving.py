"""Certificates to serve with: asked for, approved, kept, and asked for anew."""

import asyncio
import base64
import datetime
import json
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pilothouse.services.kubelet.adapters.certificates.serving import (
    SERVER_FILE,
    ClientFile,
    MeshSigner,
    PairFile,
    pair_of,
    to_ask,
    to_serve,
)
from pilothouse.services.kubelet.adapters.certificates.serving_files import ServingFiles
from pilothouse.services.kubelet.certificates.serving import Pair, Serving, due_at
from pilothouse.services.machinery.errors import BadRequest, ServiceUnavailable
from pilothouse.services.machinery.kinds import certificates
from pilothouse.services.runtime.rpc.tls import Identity

NOW = 1_900_000_000.0


class FakeClock:
    def __init__(self):
        self.time = NOW
        self.slept = []

    def now(self):
        return self.time

    def monotonic(self):
        return self.time

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)


class FakeObjects:
    """Signs when it is asked for the third time, or ``says`` a condition."""

    def __init__(self, says=""):
        self.says, self.asked, self.body = says, 0, {}

    async def create(self, resource, namespace, body):
        self.body = body
        return json.dumps(body | {"metadata": {"name": "csr-1"}})

    async def get(self, resource, key):
        self.asked += 1
        status = {"conditions": [{"type": self.says, "message": "no"}]} if self.says else {}
        if self.asked > 2 and self.says != "silence":
            status = {"certificate": base64.b64encode(self._signed()).decode()}
        return json.dumps(self.body | {"status": status})

    def _signed(self):
        request = x509.load_pem_x509_csr(base64.b64decode(self.body["spec"]["request"]))
        return _certificate(request.subject, request.public_key())


def _certificate(subject, public, days=10, signer=None):
    key = signer or ec.generate_private_key(ec.SECP256R1())
    begin = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


async def test_a_request_is_one_that_the_signer_takes():
    objects, clock = FakeObjects(), FakeClock()
    pair = await MeshSigner(objects, to_serve("node-1", "10.0.0.1"), clock).obtain()
    spec = objects.body["spec"]
    request = x509.load_pem_x509_csr(base64.b64decode(spec["request"]))
    assert request.is_signature_valid
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["node-1"]
    subject = certificates.Subject(
        common_name="system:node:node-1",
        organizations=("system:nodes",),
        dns_names=("node-1",),
        ip_addresses=("10.0.0.1",),
    )
    assert request.subject.rfc4514_string() == "CN=system:node:node-1,O=system:nodes"
    assert certificates.fault(spec["signerName"], subject, tuple(spec["usages"])) == ""
    assert (pair.begins_at, pair.ends_at) == (NOW, NOW + 10 * 86400)


async def test_a_request_that_is_refused_or_forgotten():
    with pytest.raises(BadRequest, match="was denied: no"):
        await MeshSigner(FakeObjects("Denied"), to_ask("n"), FakeClock()).obtain()
    with pytest.raises(ServiceUnavailable, match="nobody approved"):
        await MeshSigner(FakeObjects("silence"), to_ask("n"), FakeClock()).obtain()


async def test_the_pair_is_kept_and_served_with(tmp_path):
    pair = await MeshSigner(FakeObjects(), to_serve("node-1", "10.0.0.1"), FakeClock()).obtain()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cabinet = PairFile(tmp_path / "pki" / SERVER_FILE, context.load_cert_chain)
    assert cabinet.find() is None
    cabinet.keep(pair)
    assert cabinet.find() == pair
    path = tmp_path / "pki" / "kubelet-server-current.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("broken")
    assert cabinet.find() is None


class FakeCabinet:
    def __init__(self, pair=None):
        self.pair, self.kept = pair, []

    def find(self):
        return self.pair

    def keep(self, pair):
        self.kept.append(pair)


class FakeSigner:
    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)

    async def obtain(self):
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def _pair(begins, ends):
    return Pair(b"key", b"chain", begins, ends)


async def test_a_certificate_is_renewed_in_good_time_and_after_failures():
    clock = FakeClock()
    old, new = _pair(NOW, NOW + 1000), _pair(NOW + 900, NOW + 1e9)
    cabinet = FakeCabinet(old)
    signer = FakeSigner(ServiceUnavailable("away"), new)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(Serving(signer, cabinet, clock, "node-1").run())
        while len(cabinet.kept) < 2:
            await asyncio.sleep(0)
        running.cancel()
    assert cabinet.kept == [old, new]
    assert 700 <= clock.slept[0] <= 900
    assert clock.slept[1] == 30.0


def test_nodes_do_not_ask_all_at_once():
    pair = _pair(0.0, 1000.0)
    moments = {due_at(pair, f"node-{number}") for number in range(10)}
    assert len(moments) > 1
    assert all(700 <= moment <= 900 for moment in moments)
    assert pair_of(b"k", _certificate(x509.Name([]), ec.generate_private_key(
        ec.SECP256R1()).public_key())).begins_at == NOW  # fmt: skip


def _write(directory, serial):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, str(serial))])
    chain = _certificate(subject, key.public_key(), signer=key)
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (directory / "tls.key").write_bytes(text)
    (directory / "tls.crt").write_bytes(chain)


async def test_files_that_changed_are_served_without_a_restart(tmp_path):
    _write(tmp_path, 1)
    files = (tmp_path / "tls.crt", tmp_path / "tls.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    hang_up = lambda _, writer: writer.close()  # noqa: E731 - no more than that
    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    async def served():
        text = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
        return x509.load_pem_x509_certificate(text.encode()).subject.rfc4514_string()

    clock = FakeClock()
    async with server, asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(ServingFiles(*files, context, clock).run())
        assert await served() == "CN=1"
        files[1].write_text("half of a pair")
        while len(clock.slept) < 1_000:
            await asyncio.sleep(0)
        assert await served() == "CN=1"
        _write(tmp_path, 2)
        while await served() != "CN=2":
            await asyncio.sleep(0)
        running.cancel()


def test_a_client_goes_by_the_certificate_that_ends_last(tmp_path):
    _write(tmp_path, 1)
    given = Identity(tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "ca.crt")
    kept = ClientFile(tmp_path / "pki" / "kubelet-client-current.pem", given)
    first = kept.find()
    assert first is not None
    assert kept.identity() == given
    key = ec.generate_private_key(ec.SECP256R1())
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    longer = pair_of(text, _certificate(x509.Name([]), key.public_key(), days=20, signer=key))
    kept.keep(longer)
    assert kept.find() == longer
    path = tmp_path / "pki" / "kubelet-client-current.pem"
    assert kept.identity() == Identity(path, path, given.authority)
    # What was given may have been renewed by whoever gave it.
    kept.keep(first)
    assert kept.identity() == given
