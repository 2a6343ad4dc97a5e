"""Who joins by a token believes what cluster-info says: it is signed, for as long as that lives."""

import base64
import hashlib
import hmac
import json
import time

import yaml

SAID = "apiVersion: v1\nkind: Config\n"
JWS = "jws-kubeconfig-"


def encoded(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signature(name, secret, said):
    """As kubeadm makes it, to compare it with what it finds."""
    head = encoded(f'{{"alg":"HS256","kid":"{name}"}}'.encode())
    signed = f"{head}.{encoded(said.encode())}".encode()
    return f"{head}..{encoded(hmac.new(secret, signed, hashlib.sha256).digest())}"


def token(name, **more):
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"bootstrap-token-{name}", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": name,
            "token-secret": "0123456789abcdef",
            "usage-bootstrap-signing": "true",
            **more,
        },
    }


def info(said):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "cluster-info", "namespace": "kube-public"},
        "data": {"kubeconfig": said},
    }


def wait_signed(kubectl, wanted):
    """Until exactly these signatures are there."""
    for _ in range(200):
        text = kubectl("get", "configmap", "cluster-info", "-n", "kube-public", "-o", "json")
        data = json.loads(text)["data"]
        found = {name: value for name, value in data.items() if name.startswith(JWS)}
        if found == wanted:
            return
        time.sleep(0.1)
    raise AssertionError(f"{found} are there, not {wanted}")


def test_what_is_said_is_signed_with_each_token_while_it_lives(control_plane):
    kubectl = control_plane.kubectl
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 4))
    lasting, brief = token("aaaaaa"), token("bbbbbb", expiration=soon)
    for body in (info(SAID), lasting, brief):
        kubectl("apply", "-f", "-", text=yaml.safe_dump(body))
    # Whether the brief one's was seen before its end or not: it goes, and the Secret with it.
    by_lasting = {f"{JWS}aaaaaa": signature("aaaaaa", b"0123456789abcdef", SAID)}
    kubectl("wait", "--for=delete", "secret/bootstrap-token-bbbbbb", "-n", "kube-system",
            "--timeout=30s")  # fmt: skip
    wait_signed(kubectl, by_lasting)
    kubectl("apply", "-f", "-", text=yaml.safe_dump(info("other")))
    wait_signed(kubectl, {f"{JWS}aaaaaa": signature("aaaaaa", b"0123456789abcdef", "other")})
    kubectl("delete", "secret", "bootstrap-token-aaaaaa", "-n", "kube-system")
    wait_signed(kubectl, {})
    kubectl("delete", "configmap", "cluster-info", "-n", "kube-public")
