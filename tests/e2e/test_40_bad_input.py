"""What is wrong is refused with a Status that says so; nothing of it is stored."""

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from kit.cluster import Cluster

from pilothouse.ops.pki.authority import Authority
from pilothouse.ops.pki.plan import Certificate
from pilothouse.services.runtime.clock import SystemClock

SECRET = "hunter2-must-not-be-logged"
CONFIGMAPS = "/api/v1/namespaces/bad/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/bad/deployments"


class Door:
    """HTTPS to the API, with a client certificate or none."""

    def __init__(self, cluster: Cluster, pki: Path, stem: str = "admin") -> None:
        self._port = cluster.port
        self._context = ssl.create_default_context(cafile=str(cluster.config / "pki/ca.crt"))
        if stem:
            self._context.load_cert_chain(pki / f"{stem}.crt", pki / f"{stem}.key")

    def call(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, context=self._context, timeout=30
        )
        try:
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


@pytest.fixture
def door(cluster: Cluster) -> Iterator[Door]:
    """The administrator's door, and a namespace that must stay empty."""
    if cluster.try_get("namespace", "bad") is None:
        cluster.create(apiVersion="v1", kind="Namespace", metadata={"name": "bad"})
    yield Door(cluster, cluster.config / "pki")
    stored = cluster.get("configmaps,deployments,secrets", "-n", "bad")["items"]
    assert [
        i["metadata"]["name"] for i in stored if i["metadata"]["name"] != "kube-root-ca.crt"
    ] == []
    logs = cluster.state / "logs"
    assert not any(SECRET in path.read_text() for path in logs.glob("*.log"))


def configmap(**changes: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a"},
        "data": {"password": SECRET},
        **changes,
    }


def deployment(**spec: Any) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": "a"}},
        "spec": {"containers": [{"name": "a", "image": "a"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a"},
        "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template, **spec},
    }


def refused(answer: tuple[int, dict[str, Any]], code: int, reason: str) -> dict[str, Any]:
    status, body = answer
    assert (status, body.get("reason")) == (code, reason), body
    assert body["kind"] == "Status"
    assert body["apiVersion"] == "v1"
    assert body["status"] == "Failure"
    assert body["code"] == code
    assert body["message"]
    assert SECRET not in json.dumps(body)
    return body


def encode(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_unknown_fields_under_strict(door: Door) -> None:
    body = encode(configmap(colour="red"))
    answer = door.call("POST", f"{CONFIGMAPS}?fieldValidation=Strict", body)
    assert "colour" in refused(answer, 400, "BadRequest")["message"]


@pytest.mark.parametrize("replicas", ["two", 1.5, [], True])
def test_wrong_types(door: Door, replicas: Any) -> None:
    answer = door.call("POST", DEPLOYMENTS, encode(deployment(replicas=replicas)))
    assert "replicas" in refused(answer, 400, "BadRequest")["message"]


@pytest.mark.parametrize("name", ["Upper", "under_score", "-a", "a" * 254, "a/b", "..", "a b", "ä"])
def test_names_that_are_no_dns_names(door: Door, name: str) -> None:
    answer = door.call("POST", CONFIGMAPS, encode(configmap(metadata={"name": name})))
    body = refused(answer, 422, "Invalid")
    assert body["details"]["causes"][0]["field"] == "metadata.name"


@pytest.mark.parametrize(
    "path", [f"{CONFIGMAPS}/..", f"{CONFIGMAPS}/%2e%2e", f"{CONFIGMAPS}/a%2Fb"]
)
def test_dots_and_slashes_in_a_path_reach_nothing(door: Door, path: str) -> None:
    status, body = door.call("GET", path)
    assert status in (400, 404), body
    assert body["kind"] == "Status"


def test_a_body_of_four_mebibytes(door: Door) -> None:
    body = encode(configmap(data={"a": "x" * 4 * 1024 * 1024}))
    refused(door.call("POST", CONFIGMAPS, body), 413, "RequestEntityTooLarge")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"a"', b"\xff\xfe", b'{"a": nope}', b"null"])
def test_invalid_json(door: Door, body: bytes) -> None:
    refused(door.call("POST", CONFIGMAPS, body), 400, "BadRequest")


@pytest.mark.parametrize("body", [b"a: [", b"a: b: c", b"\t- x", b"&a [*a, *a]"])
def test_invalid_yaml(door: Door, body: bytes) -> None:
    answer = door.call("POST", CONFIGMAPS, body, kind="application/yaml")
    refused(answer, 400, "BadRequest")


def test_a_body_of_another_kind(door: Door) -> None:
    refused(door.call("POST", CONFIGMAPS, encode(deployment())), 400, "BadRequest")


def test_an_unknown_kind_in_a_path(door: Door) -> None:
    refused(door.call("GET", "/api/v1/namespaces/bad/unicorns"), 404, "NotFound")
    refused(door.call("GET", "/apis/example.com/v1/unicorns"), 404, "NotFound")


def test_a_wrong_content_type(door: Door) -> None:
    answer = door.call("POST", CONFIGMAPS, encode(configmap()), kind="text/plain")
    refused(answer, 415, "UnsupportedMediaType")


def test_a_method_that_the_path_does_not_take(door: Door) -> None:
    refused(door.call("PUT", CONFIGMAPS, encode(configmap())), 405, "MethodNotAllowed")


def test_a_selector_that_does_not_select_its_own_pods(door: Door) -> None:
    body = encode(deployment(selector={"matchLabels": {"app": "other"}}))
    refused(door.call("POST", DEPLOYMENTS, body), 422, "Invalid")


def test_a_namespace_that_does_not_exist(door: Door) -> None:
    path = "/api/v1/namespaces/nowhere/configmaps"
    refused(door.call("POST", path, encode(configmap())), 404, "NotFound")


@pytest.mark.usefixtures("door")
def test_no_certificate_may_do_nothing(cluster: Cluster, tmp_path: Path) -> None:
    nobody = Door(cluster, tmp_path, stem="")
    status, body = nobody.call("GET", "/api/v1/secrets")
    assert (status, body["reason"]) in ((401, "Unauthorized"), (403, "Forbidden"))


@pytest.mark.usefixtures("door")
def test_a_foreign_certificate_may_do_nothing(cluster: Cluster, tmp_path: Path) -> None:
    """Same names, same group, another authority."""
    foreign = Authority.open(tmp_path, SystemClock())
    foreign.ensure(Certificate("admin", "kubernetes-admin", "system:masters"))
    assert isinstance(foreign.key, ec.EllipticCurvePrivateKey)
    stranger = Door(cluster, tmp_path)
    try:
        status, body = stranger.call("GET", "/api/v1/secrets")
    except (ssl.SSLError, ConnectionError):
        return
    assert (status, body["reason"]) == (401, "Unauthorized")


def test_kubectl_names_the_line_of_broken_yaml(cluster: Cluster) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n data: x\n"
    said = cluster.try_kubectl("create", "-n", "bad", "-f", "-", stdin=text)
    assert said.returncode != 0
    assert "line 5" in said.stderr or "line 4" in said.stderr


def test_kubectl_names_the_unknown_field(cluster: Cluster) -> None:
    body = deployment(replica=2)
    said = cluster.try_kubectl("create", "-n", "default", "-f", "-", stdin=json.dumps(body))
    assert said.returncode != 0
    assert "replica" in said.stderr
    assert cluster.get("deployments", "--field-selector", "metadata.name=a")["items"] == []
