"""A kubelet that serves with a certificate which somebody approved for it, and one without any."""

import base64
import datetime
import json
import ssl
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kit.node import inside
from kit.whole_node import NODE_IP, WholeNode

CONFIG = """apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
serverTLSBootstrap: true
readOnlyPort: 10255
"""
SERIAL = 4711


def _signed(node: WholeNode, asked: x509.CertificateSigningRequest, days: int = 30) -> bytes:
    """As the signer does it."""
    pki = node.root / "pki"
    authority = x509.load_pem_x509_certificate((pki / "ca.crt").read_bytes())
    key = serialization.load_pem_private_key((pki / "ca.key").read_bytes(), None)
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    made = (
        x509.CertificateBuilder()
        .subject_name(asked.subject)
        .issuer_name(authority.subject)
        .public_key(asked.public_key())
        .serial_number(SERIAL)
        .not_valid_before(end - datetime.timedelta(days=60))
        .not_valid_after(end)
    )
    for extension in asked.extensions:
        made = made.add_extension(extension.value, critical=False)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


async def _served_serial(node: WholeNode) -> int:
    found = []

    async def look() -> None:
        text = ssl.get_server_certificate((NODE_IP, 10250))
        found.append(x509.load_pem_x509_certificate(text.encode()).serial_number)

    await inside(node.containerd, look)
    return found[0]


async def test_a_serving_certificate_is_asked_for_and_served_with(node: WholeNode) -> None:
    config = node.root / "tls.yaml"
    config.write_text(CONFIG)
    node.kill("kubelet")
    node.start_kubelet(f"--config={config}")
    request = node.wait(lambda: (node.get("csr").get("items") or [None])[0])
    name, spec = request["metadata"]["name"], request["spec"]
    assert spec["signerName"] == "kubernetes.io/kubelet-serving"
    assert spec["username"] == "system:node:node-1"
    assert await _served_serial(node) != SERIAL
    node.kubectl("certificate", "approve", name)
    asked = x509.load_pem_x509_csr(base64.b64decode(spec["request"]))
    signed = base64.b64encode(_signed(node, asked)).decode()
    status = json.dumps({"status": {"certificate": signed}})
    node.kubectl("patch", "csr", name, "--subresource=status", "--type=merge", "-p", status)
    kept = node.root / "kubelet" / "pki" / "kubelet-server-current.pem"
    node.wait(kept.is_file)
    assert await _served_serial(node) == SERIAL
    assert node.kubectl("get", "--raw", "/api/v1/nodes/node-1/proxy/healthz").stdout == "ok"
    node.kubectl("delete", "csr", name)
    for path, code in (("/metrics/resource", b"200"), ("/exec/default/a/b", b"404")):
        url = f"http://{NODE_IP}:10255{path}"
        asked = node.enter("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url)
        assert subprocess.run(asked, capture_output=True, check=True).stdout == code
    node.kill("kubelet")
    node.start_kubelet()


def _client(node: WholeNode, days: int) -> tuple[bytes, bytes]:
    """Key and certificate of the node's kubelet, that end in so many days."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, "system:node:node-1"),
        ]
    )
    asked = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return text, _signed(node, asked, days)


def test_a_renewed_client_certificate_is_dialled_with(node: WholeNode) -> None:
    config, pki = node.root / "rotate.yaml", node.root / "pki"
    config.write_text(
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
        "rotateCertificates: true\n"
    )
    key, chain = _client(node, -1)
    (node.root / "old.key").write_bytes(key)
    (node.root / "old.crt").write_bytes(chain)
    key, chain = _client(node, 50)
    kept = node.root / "kubelet" / "pki" / "kubelet-client-current.pem"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(chain + key)
    node.kill("kubelet")
    node.kubectl("delete", "lease", "node-1", "-n", "kube-node-lease")
    node.start_kubelet(
        f"--config={config}", f"--client-certificate={node.root}/old.crt",
        f"--client-key={node.root}/old.key", f"--tls-cert-file={pki}/kubelet-node-1.crt",
        f"--tls-private-key-file={pki}/kubelet-node-1.key",
    )  # fmt: skip
    node.wait(lambda: node.get("lease", "node-1", "-n", "kube-node-lease"))
    node.kill("kubelet")
    kept.unlink()
    node.start_kubelet()
