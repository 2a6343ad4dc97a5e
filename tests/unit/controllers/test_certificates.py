"""Requests for certificates: who is approved, what is signed, what goes."""

import base64
from ipaddress import ip_address

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pilothouse.services.controllers.adapters import authority
from pilothouse.services.controllers.adapters.authority import Authority, Signing
from pilothouse.services.controllers.identity import approving, cleaning, signing
from pilothouse.services.controllers.identity.signing import Terms
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds import certificates
from pilothouse.services.machinery.kinds.certificates import (
    CertificateSigningRequest,
    Condition,
    Spec,
    Status,
    Subject,
)
from pilothouse.services.machinery.objects import Metadata

NOW = 1_800_000_000.0
DAY = 24 * 3600.0
NODE = Subject(common_name="system:node:n", organizations=("system:nodes",))
CLIENT_USAGES = ("digital signature", "client auth")
SERVER_USAGES = ("digital signature", "key encipherment", "server auth")


def asked(signer=certificates.KUBELET_CLIENT, usages=CLIENT_USAGES, *told, **more):
    stamp = timestamps.render(NOW - more.pop("ago", 0))
    conditions = tuple(Condition(type=one, last_update_time=stamp) for one in told)
    certificate = more.pop("certificate", "")
    return CertificateSigningRequest(
        metadata=Metadata(name="r", creation_timestamp=stamp),
        spec=Spec(signer_name=signer, usages=usages, **more),
        status=Status(conditions=conditions, certificate=certificate),
    )


def grounds(request, subject=NODE):
    return [ground.subresource for ground in approving.plan(request, subject)]


def test_kubelets_are_approved_if_they_may():
    assert grounds(asked(username="system:node:n")) == ["selfnodeclient", "nodeclient"]
    assert grounds(asked(username="somebody")) == ["nodeclient"]


@pytest.mark.parametrize(
    ("request_", "subject"),
    [
        (asked(signer=certificates.CLIENT), NODE),
        (asked(usages=SERVER_USAGES), NODE),
        (asked(certificate="c"), NODE),
        (asked(certificates.KUBELET_CLIENT, CLIENT_USAGES, "Approved"), NODE),
        (asked(certificates.KUBELET_CLIENT, CLIENT_USAGES, "Denied"), NODE),
        (asked(), Subject(common_name="system:node:n", organizations=("others",))),
        (asked(), Subject(common_name="jane", organizations=("system:nodes",))),
        (asked(), None),
    ],
)
def test_others_wait_for_a_person(request_, subject):
    assert grounds(request_, subject) == []


def test_what_is_approved_is_signed_for_as_long_as_was_asked():
    approved = asked(certificates.KUBELET_CLIENT, CLIENT_USAGES, "Approved")
    assert signing.plan(approved, NODE, DAY, NOW).terms == Terms(NOW - 300, NOW + DAY - 300)
    for seconds, got in ((3600, 3600), (60, 600), (10**9, DAY - 300)):
        spec = msgspec.structs.replace(approved.spec, expiration_seconds=seconds)
        todo = signing.plan(msgspec.structs.replace(approved, spec=spec), NODE, DAY, NOW)
        assert todo.terms == Terms(NOW - 300, NOW + got)


@pytest.mark.parametrize(
    ("signer", "usages", "subject", "failure"),
    [
        (certificates.KUBELET_CLIENT, SERVER_USAGES, NODE, "usages did not match [client auth "
         "digital signature key encipherment]"),
        (certificates.KUBELET_SERVING, SERVER_USAGES, NODE,
         "DNS or IP subjectAltName is required"),
        (certificates.CLIENT, ("server auth",), NODE,
         "invalid usage for client certificate: server auth"),
        (certificates.CLIENT, ("digital signature",), NODE,
         "missing required usage for client certificate: client auth"),
        (certificates.CLIENT, ("client auth",), NODE, ""),
        ("example.com/mine", CLIENT_USAGES, NODE, ""),
    ],
)  # fmt: skip
def test_what_may_not_be_signed_is_refused_in_words(signer, usages, subject, failure):
    todo = signing.plan(asked(signer, usages, "Approved"), subject, DAY, NOW)
    assert todo.failure == failure
    assert (todo.terms is not None) == (signer == certificates.CLIENT and not failure)


@pytest.mark.parametrize("told", [(), ("Denied",), ("Approved", "Failed"), ("Approved", "Denied")])
def test_nothing_else_is_signed(told):
    request = asked(certificates.KUBELET_CLIENT, CLIENT_USAGES, *told)
    assert signing.plan(request, NODE, DAY, NOW) == signing.Plan()


@pytest.mark.parametrize(
    ("told", "certificate", "expires", "left"),
    [
        ((), "", None, DAY - 100),
        (("Denied",), "", None, 3500),
        (("Failed",), "", None, 3500),
        (("Approved",), "", None, None),
        (("Approved",), "c", NOW + 10**6, 3500),
        (("Approved",), "c", NOW + 5, 5),
    ],
)
def test_requests_go_when_nobody_needs_them(told, certificate, expires, left):
    request = asked(
        certificates.KUBELET_CLIENT, CLIENT_USAGES, *told, ago=100, certificate=certificate
    )
    assert cleaning.seconds_left(request, expires, NOW) == left


def request_for(*names):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "system:node:n"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    made = builder.sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(Encoding.PEM)).decode()


@pytest.fixture(scope="module")
def signer():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(authority.moment(NOW - DAY))
        .not_valid_after(authority.moment(NOW + 10 * DAY))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Authority(Signing(certificate.public_bytes(Encoding.PEM).decode(), pem, DAY))


def test_a_request_tells_whom_it_is_for():
    names = (x509.DNSName("n"), x509.IPAddress(ip_address("10.0.0.1")))
    assert authority.subject(request_for(*names)) == Subject(
        common_name="system:node:n",
        organizations=("system:nodes",),
        dns_names=("n",),
        ip_addresses=("10.0.0.1",),
    )
    assert authority.subject("bm9uZQ==") is None


def test_a_certificate_says_what_was_asked_for_and_no_more(signer):
    request = request_for(x509.DNSName("n"))
    made = signer.sign(request, SERVER_USAGES, Terms(NOW - 300, NOW + 99 * DAY))
    assert authority.expires(made) == NOW + 10 * DAY
    read = x509.load_pem_x509_certificate(base64.b64decode(made))
    usage = read.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment, usage.key_cert_sign) == (
        True, True, False,
    )  # fmt: skip
    purposes = read.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n"]
    assert not read.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_an_authority_whose_time_is_over_signs_nothing(signer):
    with pytest.raises(ValueError, match="the signer has expired"):
        signer.sign(request_for(), CLIENT_USAGES, Terms(NOW + 11 * DAY, NOW + 12 * DAY))
