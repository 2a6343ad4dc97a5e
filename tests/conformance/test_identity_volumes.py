"""Bundles of trust, certificates and tokens that pods find in their volumes."""

import base64
import datetime
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kit.cluster import Cluster
from kit.manifests import sleeper
from kit.namespaces import furnished
from kit.official import Official
from kit.syllabus import line

NAMESPACE = "conformance-identity"
BUNDLES = "auth/projected_clustertrustbundle.go"
CERTIFICATES = "auth/projected_podcertificate.go"
SIGNER = "conformance.example.com/anchors"
POD_SIGNER = "conformance.example.com/pods"
DAY_SECONDS = 86_400
MANY = 105


class Authority:
    """Signs what pods ask for."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        self.now = now.replace(microsecond=0)
        self.certificate = self._sign(self.name, self.key.public_key(), days=30, is_ca=True)

    def _sign(
        self, subject: x509.Name, key: Any, *, days: int, is_ca: bool = False
    ) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now)
            .not_valid_after(self.now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The status of a PodCertificateRequest that is issued."""
        csr = x509.load_der_x509_csr(base64.b64decode(request["spec"]["stubPKCS10Request"]))
        assert csr.is_signature_valid
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, request["spec"]["podName"])])
        made = self._sign(subject, csr.public_key(), days=1)
        end = made.not_valid_after_utc
        return {
            "certificateChain": made.public_bytes(serialization.Encoding.PEM).decode(),
            "notBefore": _time(self.now),
            "beginRefreshAt": _time(end - datetime.timedelta(hours=2)),
            "notAfter": _time(end),
            "conditions": [{
                "type": "Issued", "status": "True", "reason": "Signed", "message": "signed",
                "lastTransitionTime": _time(self.now),
            }],
        }  # fmt: skip


def _time(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def _namespace(cluster: Cluster, client: Official) -> Iterator[None]:
    with furnished(cluster, client, NAMESPACE):
        yield


@pytest.fixture(scope="module")
def bundles(client: Official) -> Iterator[dict[str, str]]:
    """Anchors by the names of their bundles: some of a signer, one of none."""
    made = {}
    prefix = SIGNER.replace("/", ":")
    for name, labels in (
        (f"{prefix}:live", {"set": "live"}), (f"{prefix}:old", {"set": "old"}), ("conf-plain", {}),
    ):  # fmt: skip
        made[name] = Authority(name).pem
        spec = {"trustBundle": made[name]}
        if ":" in name:
            spec["signerName"] = SIGNER
        _create(client, "clustertrustbundles", name, spec, labels)
    yield made
    for name in made:
        client.raw("DELETE", f"/apis/certificates.k8s.io/v1/clustertrustbundles/{name}")


def _create(
    client: Official, plural: str, name: str, spec: dict[str, Any], labels: dict[str, str]
) -> None:
    body = {
        "apiVersion": "certificates.k8s.io/v1", "kind": "ClusterTrustBundle",
        "metadata": {"name": name, "labels": labels}, "spec": spec,
    }  # fmt: skip
    answer = client.raw("POST", f"/apis/certificates.k8s.io/v1/{plural}", body)
    assert answer.code == 201, answer.body


def _pod(name: str, *sources: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """With all sources in one volume at ``/v``."""
    volume = {"name": "v", "projected": {"sources": list(sources)}}
    pod = sleeper(name, volumes=[volume], **spec)
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    return pod


def _bundle(path: str, **source: Any) -> dict[str, Any]:
    return {"clusterTrustBundle": {"path": path, **source}}


def _certificate(**source: Any) -> dict[str, Any]:
    return {"podCertificate": {
        "signerName": POD_SIGNER, "keyType": "ECDSAP256", "credentialBundlePath": "bundle.pem",
        **source,
    }}  # fmt: skip


class Seen:
    """What pods find."""

    def __init__(self, cluster: Cluster, client: Official) -> None:
        self.cluster, self.client = cluster, client

    def runs(self, pod: dict[str, Any]) -> str:
        name = pod["metadata"]["name"]
        self.client.core.create_namespaced_pod(NAMESPACE, pod)
        self.cluster.eventually(f"{name} runs", lambda: self.phase(name) == "Running")
        return name

    def phase(self, name: str) -> str:
        return self.client.core.read_namespaced_pod(name, NAMESPACE).status.phase

    def shell(self, pod: str, script: str) -> str:
        return self.cluster.kubectl("-n", NAMESPACE, "exec", pod, "--", "sh", "-c", script)

    def waits_with(self, pod: dict[str, Any], words: str) -> None:
        """It does not start, and an event says why."""
        name = pod["metadata"]["name"]
        self.client.core.create_namespaced_pod(NAMESPACE, pod)
        self.cluster.eventually(f"{name} is told why", lambda: words in self.events(name))
        assert self.phase(name) == "Pending"

    def events(self, pod: str) -> str:
        selector = f"involvedObject.name={pod}"
        found = self.client.core.list_namespaced_event(NAMESPACE, field_selector=selector).items
        return "\n".join(f"{item.reason} {item.message}" for item in found)

    def requests(self, pod: str) -> list[dict[str, Any]]:
        path = f"/apis/certificates.k8s.io/v1/namespaces/{NAMESPACE}/podcertificaterequests"
        items = self.client.raw("GET", path).json["items"]
        return [item for item in items if item["spec"]["podName"] == pod]

    def answer(self, request: dict[str, Any], status: dict[str, Any]) -> None:
        name = request["metadata"]["name"]
        path = f"/apis/certificates.k8s.io/v1/namespaces/{NAMESPACE}/podcertificaterequests/{name}"
        patch = {"Content-Type": "application/merge-patch+json"}
        done = self.client.raw("PATCH", f"{path}/status", {"status": status}, headers=patch)
        assert done.code == 200, done.body


@pytest.fixture
def seen(cluster: Cluster, client: Official, _namespace: None) -> Seen:
    return Seen(cluster, client)


def _count(text: str) -> int:
    return text.count("BEGIN CERTIFICATE")


@line(BUNDLES, "single CTB by name")
@line(BUNDLES, "several CTB volumes")
@line(BUNDLES, "combine all signer CTBs (empty selector)")
@line(BUNDLES, "combine by signer + label selector")
@line(BUNDLES, "selector matches nothing + optional")
@line(BUNDLES, "nil selector + optional")
def test_bundles_by_name_and_by_signer(
    seen: Seen, client: Official, bundles: dict[str, str]
) -> None:
    live = {"matchLabels": {"set": "live"}}
    none = {"matchLabels": {"set": "nowhere"}}
    pod = seen.runs(_pod(
        "trusting",
        _bundle("plain.pem", name="conf-plain"),
        _bundle("all.pem", signerName=SIGNER, labelSelector={}),
        _bundle("live.pem", signerName=SIGNER, labelSelector=live),
        _bundle("none.pem", signerName=SIGNER, labelSelector=none, optional=True),
        _bundle("nil.pem", signerName=SIGNER, optional=True),
        _bundle("absent.pem", name="conf-absent", optional=True),
    ))  # fmt: skip
    content = {name: seen.shell(pod, f"cat /v/{name}.pem")
               for name in ("plain", "all", "live", "none", "nil", "absent")}  # fmt: skip
    assert content["plain"].strip() == bundles["conf-plain"].strip()
    assert content["live"].strip() == bundles[f"{SIGNER.replace('/', ':')}:live"].strip()
    assert _count(content["all"]) == 2
    assert (content["none"], content["nil"], content["absent"]) == ("", "", "")
    _create(client, "clustertrustbundles", "conf-absent", {"trustBundle": Authority("a").pem}, {})
    try:
        seen.cluster.eventually(
            "the bundle shows", lambda: _count(seen.shell(pod, "cat /v/absent.pem")) == 1
        )
    finally:
        client.raw("DELETE", "/apis/certificates.k8s.io/v1/clustertrustbundles/conf-absent")


@line(BUNDLES, "optional=false, nothing matches")
@line(BUNDLES, "optional=false, CTB missing")
def test_a_pod_waits_for_bundles_that_must_be_there(seen: Seen) -> None:
    seen.waits_with(_pod("waits-name", _bundle("x", name="conf-missing")), "conf-missing")
    none = {"matchLabels": {"set": "nowhere"}}
    source = _bundle("x", signerName=SIGNER, labelSelector=none)
    seen.waits_with(_pod("waits-selector", source), "FailedMount")


@line(BUNDLES, ">100 CTB volumes")
def test_more_than_a_hundred_bundles_in_one_volume(seen: Seen, bundles: dict[str, str]) -> None:
    sources = [_bundle(f"{number}.pem", name="conf-plain") for number in range(MANY)]
    pod = seen.runs(_pod("hundred", *sources))
    assert seen.shell(pod, "ls /v | wc -l").strip() == str(MANY)
    assert seen.shell(pod, f"cat /v/{MANY - 1}.pem").strip() == bundles["conf-plain"].strip()


def _asked(seen: Seen, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found[:] = seen.requests(name)
        return bool(found)

    seen.cluster.eventually(f"{name} asks for a certificate", look)
    return found[0]


@line(CERTIFICATES, "default 24 h lifetime")
@line(CERTIFICATES, "1 h lifetime when set")
@line(CERTIFICATES, "UserAnnotations")
def test_a_pod_gets_a_certificate(seen: Seen) -> None:
    authority = Authority("pods")
    sources: dict[str, Callable[[], dict[str, Any]]] = {
        "certified": lambda: _certificate(userAnnotations={"example.com/a": "b"}),
        "certified-hour": lambda: _certificate(
            maxExpirationSeconds=3600, credentialBundlePath=None,
            keyPath="tls.key", certificateChainPath="tls.crt", keyType="ED25519",
        ),
    }  # fmt: skip
    for name, source in sources.items():
        seen.client.core.create_namespaced_pod(NAMESPACE, _pod(name, source()))
    requests = {name: _asked(seen, name) for name in sources}
    specs = {name: request["spec"] for name, request in requests.items()}
    assert specs["certified"]["maxExpirationSeconds"] == DAY_SECONDS
    assert specs["certified"]["unverifiedUserAnnotations"] == {"example.com/a": "b"}
    assert specs["certified-hour"]["maxExpirationSeconds"] == 3600
    for request in requests.values():
        seen.answer(request, authority.answer(request))
    for name in sources:
        seen.cluster.eventually(f"{name} runs", lambda name=name: seen.phase(name) == "Running")
    text = seen.shell("certified", "cat /v/bundle.pem").encode()
    key = serialization.load_pem_private_key(text, None)
    certificate = x509.load_pem_x509_certificate(text[text.index(b"-----BEGIN CERT") :])
    assert certificate.public_key() == key.public_key()
    certificate.verify_directly_issued_by(authority.certificate)
    names = seen.shell("certified-hour", "cd /v && ls && head -1 tls.key tls.crt")
    assert "tls.crt" in names
    assert "BEGIN PRIVATE KEY" in names
    assert "BEGIN CERTIFICATE" in names


SERVER = """
error_log stderr; pid /tmp/nginx.pid; events {}
http { access_log off; server {
  listen 8443 ssl; ssl_certificate /v/tls.crt; ssl_certificate_key /v/tls.key;
  ssl_client_certificate /v/ca.pem; ssl_verify_client on;
  location / { return 200 "$ssl_client_s_dn"; }
} }
"""
CLIENT = """
import http.client, ssl, sys
ip, authority, *bundle = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
context.check_hostname = False
if bundle:
    context.load_cert_chain(bundle[0])
connection = http.client.HTTPSConnection(ip, 8443, context=context, timeout=10)
connection.request("GET", "/")
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""


@line(CERTIFICATES, "mTLS between pods")
def test_pods_know_each_other_by_their_certificates(seen: Seen, tmp_path: Path) -> None:
    """The client's hands are the node's: its image knows no TLS; its credential is the pod's."""
    authority = Authority("mutual")
    _create(seen.client, "clustertrustbundles", "conf-mutual", {"trustBundle": authority.pem}, {})
    configuration = {"metadata": {"name": "server"}, "data": {"nginx.conf": SERVER}}
    seen.client.core.create_namespaced_config_map(NAMESPACE, configuration)
    own = _certificate(keyPath="tls.key", certificateChainPath="tls.crt")
    server = _pod("tls-server", own, _bundle("ca.pem", name="conf-mutual"))
    spec = server["spec"]
    spec["volumes"].append({"name": "c", "configMap": {"name": "server"}})
    (container,) = spec["containers"]
    container["volumeMounts"].append({"name": "c", "mountPath": "/c"})
    container["image"] = "nginx"
    container["command"] = ["nginx", "-c", "/c/nginx.conf", "-g", "daemon off;"]
    for pod in (server, _pod("tls-client", _certificate())):
        seen.client.core.create_namespaced_pod(NAMESPACE, pod)
    for name in ("tls-server", "tls-client"):
        request = _asked(seen, name)
        seen.answer(request, authority.answer(request))
        seen.cluster.eventually(f"{name} runs", lambda name=name: seen.phase(name) == "Running")
    trusted, bundle = tmp_path / "ca.pem", tmp_path / "bundle.pem"
    trusted.write_text(authority.pem)
    bundle.write_text(seen.shell("tls-client", "cat /v/bundle.pem"))
    ip = seen.client.core.read_namespaced_pod("tls-server", NAMESPACE).status.pod_ip

    def ask(*credential: str) -> str:
        asked = [sys.executable, "-c", CLIENT, ip, str(trusted), *credential]
        return seen.cluster.on_node(1, *asked).stdout

    seen.cluster.eventually("they talk", lambda: ask(str(bundle)).strip() == "200 CN=tls-client")
    assert ask().startswith("400 ")
    seen.client.raw("DELETE", "/apis/certificates.k8s.io/v1/clustertrustbundles/conf-mutual")


def test_a_pod_whose_certificate_is_denied_is_told_so(seen: Seen) -> None:
    seen.client.core.create_namespaced_pod(NAMESPACE, _pod("denied", _certificate()))
    moment = _time(Authority("x").now)
    condition = {"type": "Denied", "status": "True", "reason": "No", "message": "not you",
                 "lastTransitionTime": moment}  # fmt: skip
    seen.answer(_asked(seen, "denied"), {"conditions": [condition]})
    seen.cluster.eventually("it is told", lambda: "not you" in seen.events("denied"))
    assert seen.phase("denied") == "Pending"


@line(CERTIFICATES, "reject > 91 d")
@line(CERTIFICATES, "reject < 1 h")
@pytest.mark.usefixtures("_namespace")
def test_lifetimes_out_of_bounds_are_refused(client: Official) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/pods"
    for seconds in (91 * DAY_SECONDS + 1, 3599):
        pod = _pod("lifetimes", _certificate(maxExpirationSeconds=seconds))
        answer = client.raw("POST", path, pod)
        assert answer.code == 422
        assert "maxExpirationSeconds" in answer.json["message"]


@line("auth/service_accounts.go", "mount an API token")
@line("auth/service_accounts.go", "projected SA token")
def test_tokens_in_volumes_belong_to_whom_the_pod_runs_as(seen: Seen) -> None:
    token = {"serviceAccountToken": {"path": "token", "audience": "some", "expirationSeconds": 600}}
    modes = {}
    for name, security in (
        ("token-plain", {}),
        ("token-user", {"runAsUser": 1000}),
        ("token-group", {"fsGroup": 10000}),
    ):
        pod = seen.runs(_pod(name, token, securityContext=security))
        modes[name] = seen.shell(pod, "stat -L -c '%a %u %g' /v/token").strip()
    assert modes == {
        "token-plain": "644 0 0", "token-user": "600 1000 0", "token-group": "640 0 10000",
    }  # fmt: skip
    text = seen.shell("token-user", "cat /v/token")
    claims = base64.urlsafe_b64decode(text.split(".")[1] + "==")
    assert b'"some"' in claims
    assert b"token-user" in claims
    mounted = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert seen.shell("token-plain", f"ls {mounted}").split() == ["ca.crt", "namespace", "token"]
