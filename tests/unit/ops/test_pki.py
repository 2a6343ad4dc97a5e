"""The certificate authority: who is signed, what is kept, what is renewed."""

import stat
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pilothouse.ops.pki import kubeconfig, plan
from pilothouse.ops.pki.authority import AUTHORITY_DAYS, CERTIFICATE_DAYS, RENEW_DAYS, Authority

DAY = 86_400.0
NOW = 1_800_000_000.0


@dataclass
class FakeClock:
    seconds: float = NOW

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


KUBELET = plan.node("node-1", "10.90.0.11")[0]


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def subject(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    return str(certificate.subject.get_attributes_for_oid(oid)[0].value)


def test_a_kubelet_is_a_node_that_serves_and_calls(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, FakeClock())
    assert authority.ensure(KUBELET)
    signed = load(tmp_path / "kubelet-node-1.crt")
    signed.verify_directly_issued_by(load(tmp_path / "ca.crt"))
    assert subject(signed, NameOID.COMMON_NAME) == "system:node:node-1"
    assert subject(signed, NameOID.ORGANIZATION_NAME) == "system:nodes"
    usages = signed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usages) == {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}


def test_keys_are_private(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, FakeClock())
    authority.ensure(KUBELET)
    authority.ensure_service_account_key()
    keys = list(tmp_path.glob("*.key"))
    assert len(keys) == 3
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_what_is_good_is_kept(tmp_path: Path) -> None:
    clock = FakeClock()
    Authority.open(tmp_path, clock).ensure(KUBELET)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert not Authority.open(tmp_path, clock).ensure(KUBELET)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_ends_soon_is_renewed(tmp_path: Path) -> None:
    clock = FakeClock()
    authority = Authority.open(tmp_path, clock)
    authority.ensure(KUBELET)
    clock.seconds += (CERTIFICATE_DAYS - RENEW_DAYS - 1) * DAY
    assert not authority.ensure(KUBELET)
    clock.seconds += 2 * DAY
    assert authority.ensure(KUBELET)


def test_another_address_needs_another_certificate(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, FakeClock())
    authority.ensure(KUBELET)
    assert authority.ensure(plan.node("node-1", "10.90.0.99")[0])


@pytest.mark.parametrize("damage", [b"", b"not a certificate"])
def test_a_damaged_file_is_replaced(tmp_path: Path, damage: bytes) -> None:
    authority = Authority.open(tmp_path, FakeClock())
    authority.ensure(KUBELET)
    (tmp_path / "kubelet-node-1.crt").write_bytes(damage)
    assert authority.ensure(KUBELET)


def test_a_certificate_of_a_foreign_authority_is_replaced(tmp_path: Path) -> None:
    ours, foreign = tmp_path / "ours", tmp_path / "foreign"
    Authority.open(foreign, FakeClock()).ensure(KUBELET)
    authority = Authority.open(ours, FakeClock())
    for name in ("kubelet-node-1.crt", "kubelet-node-1.key"):
        (ours / name).write_bytes((foreign / name).read_bytes())
    assert authority.ensure(KUBELET)


def test_the_authority_outlives_what_it_signs(tmp_path: Path) -> None:
    Authority.open(tmp_path, FakeClock())
    authority = load(tmp_path / "ca.crt")
    days = authority.not_valid_after_utc - authority.not_valid_before_utc
    assert days.days == AUTHORITY_DAYS
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.ca


def test_the_api_server_answers_to_its_names(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, FakeClock())
    authority.ensure(plan.control_plane(["10.90.0.1"])[0])
    names = (
        load(tmp_path / "apiserver.crt")
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value
    )
    assert "kubernetes.default.svc.cluster.local" in names.get_values_for_type(x509.DNSName)
    addresses = set(map(str, names.get_values_for_type(x509.IPAddress)))
    assert addresses == {"127.0.0.1", "::1", "10.96.0.1", "10.90.0.1"}


def test_kubeconfig_is_private_and_whole(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path, FakeClock())
    for certificate in plan.control_plane([]):
        authority.ensure(certificate)
    path = tmp_path / "admin.conf"
    kubeconfig.write(path, cluster="c", server="https://127.0.0.1:6443", pki=tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = yaml.safe_load(path.read_text())
    assert document["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    assert set(document["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}
