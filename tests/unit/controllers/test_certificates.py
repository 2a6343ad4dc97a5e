"""Requests for certificates: who is approved, what is signed, what goes."""

import base64
import dataclasses
from ipaddress import ip_address

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers.adapters.identity import authority
from pilothouse.services.controllers.adapters.identity.authority import Authority, Signing
from pilothouse.services.controllers.identity import approving, cleaning, signing
from pilothouse.services.controllers.identity.approving import ApprovingController
from pilothouse.services.controllers.identity.cleaning import CleaningController
from pilothouse.services.controllers.identity.signing import SigningController, Terms
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import Forbidden
from pilothouse.services.machinery.kinds import certificates
from pilothouse.services.machinery.kinds.certificates import (
    CertificateSigningRequest,
    Condition,
    Spec,
    Status,
    Subject,
)
from pilothouse.services.machinery.objects import Key, Metadata

NOW = 1_800_000_000.0
KEY = Key("", "r")
replace = msgspec.structs.replace
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


class Desk:
    """One request, what the API would make of what is done to it, and for how long it is kept."""

    def __init__(self, request, subject, rights=(), expires=None):
        self.it = request
        self.of = subject
        self.rights = rights
        self.ends = expires
        self.clock = NOW
        self.acts = []

    def find(self, key):
        return self.it

    def subject(self, request):
        return self.of

    def lasting(self):
        return DAY

    def expires(self, request):
        return self.ends if request.status.certificate else None

    def now(self):
        return self.clock

    async def may(self, request, ground):
        return ground.subresource in self.rights

    async def approve(self, request, message):
        self._tell("Approved")

    async def refuse(self, request, why):
        assert why
        self._tell("Failed")

    async def sign(self, request, terms):
        assert terms.begins < NOW < terms.ends <= NOW + DAY
        self.acts.append("signed")
        self.it = replace(self.it, status=replace(self.it.status, certificate="made"))

    async def delete(self, request):
        self.acts.append("deleted")
        self.it = None

    def _tell(self, type_):
        self.acts.append(type_)
        said = Condition(type=type_, last_update_time=timestamps.render(NOW))
        told = (*self.it.status.conditions, said)
        self.it = replace(self.it, status=replace(self.it.status, conditions=told))


REQUESTS = st.builds(
    lambda signer, usages, told, certificate, ago, seconds, username: asked(
        signer, usages, *told, certificate=certificate, ago=ago,
        expiration_seconds=seconds, username=username,
    ),
    st.sampled_from(
        [certificates.KUBELET_CLIENT, certificates.KUBELET_SERVING, certificates.CLIENT,
         certificates.LEGACY, "example.com/mine"]
    ),
    st.sampled_from([CLIENT_USAGES, SERVER_USAGES, ("client auth",), ()]),
    st.lists(st.sampled_from(["Approved", "Denied", "Failed"]), max_size=2, unique=True),
    st.sampled_from(["", "there"]),
    st.floats(0, 2 * DAY),
    st.none() | st.integers(600, 10**9),
    st.sampled_from(["system:node:n", "somebody"]),
)  # fmt: skip
SUBJECTS = st.sampled_from(
    [None, NODE, Subject(common_name="jane"), dataclasses.replace(NODE, dns_names=("n",))]
)
RIGHTS = st.sets(st.sampled_from(["selfnodeclient", "nodeclient"]))


@given(REQUESTS, SUBJECTS, RIGHTS)
async def test_a_request_is_approved_and_signed_or_refused_once(request, subject, rights):
    desk = Desk(request, subject, rights)
    approver, signer = ApprovingController(desk), SigningController(desk)
    for _ in range(2):
        recognized = approving.plan(desk.it, subject)
        if recognized and not rights & {ground.subresource for ground in recognized}:
            with pytest.raises(Forbidden, match="recognized csr"):  # it may be given the right
                await approver.reconcile(KEY)
        else:
            await approver.reconcile(KEY)
        await signer.reconcile(KEY)
    assert len(desk.acts) == len(set(desk.acts))
    done = tuple(desk.acts)
    if done:
        assert done in {("Approved",), ("Approved", "signed"), ("signed",), ("Failed",)}
        before = {condition.type for condition in request.status.conditions}
        assert not before & {"Denied", "Failed"}
        assert not request.status.certificate
    if "Approved" in done:
        assert rights
        assert subject == NODE
        assert request.spec.signer_name == certificates.KUBELET_CLIENT
    if "signed" in done:
        assert certificates.has(desk.it, "Approved")
        assert request.spec.signer_name.startswith("kubernetes.io/")


@given(REQUESTS, st.none() | st.floats(NOW - DAY, NOW + DAY))
async def test_a_request_is_there_until_its_time_is_over_and_then_goes_once(request, expires):
    desk = Desk(request, NODE, expires=expires)
    cleaner = CleaningController(desk)
    result = await cleaner.reconcile(KEY)
    if result.again_after is not None:
        assert not desk.acts
        desk.clock += result.again_after / 2
        if (left := (await cleaner.reconcile(KEY)).again_after) is None:
            # Half of next to nothing is nothing.
            assert desk.acts == ["deleted"]
        else:
            desk.clock += left + 1e-3
            await cleaner.reconcile(KEY)
        assert desk.acts == ["deleted"]
    await cleaner.reconcile(KEY)
    assert desk.acts in ([], ["deleted"])
    if not desk.acts:  # whoever has not been answered in full, though approved, is waited for
        assert {condition.type for condition in request.status.conditions} == {"Approved"}
