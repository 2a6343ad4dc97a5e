"""A kubelet that serves with a certificate which somebody approved for it, and one without any."""

import base64
import datetime
import json
import ssl
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from kit.node import inside
from kit.whole_node import NODE_IP, WholeNode

CONFIG = """apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
serverTLSBootstrap: true
readOnlyPort: 10255
"""
SERIAL = 4711


def _signed(node: WholeNode, request: str) -> str:
    """As the signer does it."""
    asked = x509.load_pem_x509_csr(base64.b64decode(request))
    pki = node.root / "pki"
    authority = x509.load_pem_x509_certificate((pki / "ca.crt").read_bytes())
    key = serialization.load_pem_private_key((pki / "ca.key").read_bytes(), None)
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5)
    names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    made = (
        x509.CertificateBuilder()
        .subject_name(asked.subject)
        .issuer_name(authority.subject)
        .public_key(asked.public_key())
        .serial_number(SERIAL)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=30))
        .add_extension(names.value, critical=False)
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


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
    status = json.dumps({"status": {"certificate": _signed(node, spec["request"])}})
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
