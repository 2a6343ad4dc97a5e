"""A user comes by a certificate, and with it into the cluster; roles grow by others' labels."""

import base64
import subprocess
from pathlib import Path

import kubernetes
from kit.cluster import Cluster
from kit.lifecycle import eventually
from kit.official import Official

NAME = "conformance-jane"
GROUP = "grown.example.com"


def test_a_user_gets_a_certificate_and_is_known_by_it(
    cluster: Cluster, client: Official, tmp_path: Path
) -> None:
    key, request = tmp_path / "key.pem", tmp_path / "request.pem"
    asked = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=jane/O=devs"]
    subprocess.run([*asked, "-keyout", key, "-out", request], check=True, capture_output=True)
    certificates = client.group("CertificatesV1Api")
    spec = {
        "request": base64.b64encode(request.read_bytes()).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
    }
    certificates.create_certificate_signing_request({"metadata": {"name": NAME}, "spec": spec})
    try:
        cluster.kubectl("certificate", "approve", NAME)
        read = certificates.read_certificate_signing_request
        eventually("it is issued", lambda: read(NAME).status.certificate)
        issued = tmp_path / "certificate.pem"
        issued.write_bytes(base64.b64decode(read(NAME).status.certificate))
    finally:
        certificates.delete_certificate_signing_request(NAME)
    given = client.api.configuration
    configuration = kubernetes.client.Configuration(host=given.host)
    configuration.ssl_ca_cert = given.ssl_ca_cert
    configuration.cert_file, configuration.key_file = str(issued), str(key)
    with kubernetes.client.ApiClient(configuration) as api:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        answer = Official(api).raw("POST", path, review)
    told = answer.json["status"]["userInfo"]
    assert (told["username"], "devs" in told["groups"]) == ("jane", True)


def test_a_role_grows_by_the_labels_of_others(client: Official) -> None:
    rights = client.group("RbacAuthorizationV1Api")
    rule = {"apiGroups": [GROUP], "resources": ["things"], "verbs": ["get"]}
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    rights.create_cluster_role({"metadata": {"name": NAME, "labels": labels}, "rules": [rule]})

    def holds(role: str) -> bool:
        found = rights.read_cluster_role(role).rules
        return any(GROUP in (one.api_groups or ()) for one in found)

    try:
        for role in ("view", "edit", "admin"):
            eventually(f"{role} has it", lambda role=role: holds(role))
    finally:
        rights.delete_cluster_role(NAME)
    eventually("it is taken back", lambda: not holds("admin"))
