"""Whom a client certificate names, and whom it does not."""

import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pilothouse.ops.pki.authority import AUTHORITY_DAYS, CERTIFICATE_DAYS, Authority
from pilothouse.ops.pki.plan import Certificate
from pilothouse.services.apiserver.chain.certificates import user_of_certificate
from pilothouse.services.runtime.clientcerts import Judge, defer
from pilothouse.services.runtime.clock import SystemClock

DAY = 86_400
ALICE = Certificate("alice", "alice", "admins")


class FakeClock(SystemClock):
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def now(self) -> float:
        return self.seconds


@pytest.fixture
def clock():
    return FakeClock(SystemClock().now())


@pytest.fixture
def judge(tmp_path, clock):
    Authority.open(tmp_path / "ours", clock)
    return Judge(tmp_path / "ours/ca.crt", clock.now, user_of_certificate)


def shown(directory, clock, wanted: Certificate) -> bytes:
    Authority.open(directory, clock).ensure(wanted)
    pem = (directory / f"{wanted.stem}.crt").read_bytes()
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def test_ours_names_its_user_and_groups(judge, tmp_path, clock):
    user = judge.user(shown(tmp_path / "ours", clock, ALICE))
    assert (user.name, user.groups) == ("alice", ("admins", "system:authenticated"))


def test_nobody_without_one_or_with_a_broken_one(judge):
    assert judge.user(None) is None
    assert judge.user(b"") is None
    assert judge.user(b"0\x03\x02\x01\x01") is None


def test_an_authority_of_the_same_name_is_foreign(judge, tmp_path, clock):
    assert judge.user(shown(tmp_path / "theirs", clock, ALICE)) is None


def test_a_certificate_for_servers_only_names_nobody(judge, tmp_path, clock):
    server = Certificate("web", "system:admin", "system:masters", usages=("server",))
    assert judge.user(shown(tmp_path / "ours", clock, server)) is None


def test_time_runs_out_for_a_known_certificate_too(judge, tmp_path, clock):
    assert CERTIFICATE_DAYS < AUTHORITY_DAYS
    certificate = shown(tmp_path / "ours", clock, ALICE)
    assert judge.user(certificate) is not None
    clock.seconds += (CERTIFICATE_DAYS + 1) * DAY
    assert judge.user(certificate) is None
    clock.seconds -= (CERTIFICATE_DAYS + 3) * DAY
    assert judge.user(certificate) is None


def test_the_handshake_can_be_deferred_here():
    assert defer(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
