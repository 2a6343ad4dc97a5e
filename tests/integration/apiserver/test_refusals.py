"""Bad input: each a ``metav1.Status`` with the right code and reason, and nothing stored."""

import json
import socket
import ssl

import pytest

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name, **more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


def refused(answer, code, reason):
    assert (answer.code, answer.reason) == (code, reason), answer.body
    assert answer.json["kind"] == "Status"
    assert answer.json["status"] == "Failure"
    assert answer.json["code"] == code
    assert answer.json["message"]
    assert answer.headers["Content-Type"] == "application/json"


@pytest.fixture(autouse=True)
def nothing_stored(api):
    """No test here may leave an object behind."""
    before = api.get(MAPS).json["items"], api.get(PODS).json["items"]
    yield
    assert (api.get(MAPS).json["items"], api.get(PODS).json["items"]) == before


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1]", b'"text"', b"\xff\xfe", b'{"a": NaN}', b'{"a": 1} trailing', b"null"],
)
def test_malformed_json(api, body):
    refused(api.request("POST", MAPS, body), 400, "BadRequest")


@pytest.mark.parametrize(
    "body",
    [
        b"a: [",
        b"a: b: c",
        b"- 1",
        b"a: &x [1]\nb: *x",
        b"a: !!python/object:os.system {}",
        b"\t- bad",
    ],
)
def test_malformed_yaml(api, body):
    headers = {"Content-Type": "application/yaml"}
    refused(api.request("POST", MAPS, body, headers=headers), 400, "BadRequest")


def test_yaml_faults_name_their_line(api):
    headers = {"Content-Type": "application/yaml"}
    answer = api.request("POST", MAPS, b"a: 1\nb: [\nc: 2\n", headers=headers)
    assert "line 4" in answer.json["message"]


@pytest.mark.parametrize("depth", [101, 5_000, 200_000])
def test_deep_nesting(api, depth):
    body = b'{"a":' * depth + b"1" + b"}" * depth
    refused(api.request("POST", MAPS, body), 400, "BadRequest")
    listed = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
    refused(api.request("POST", MAPS, listed), 400, "BadRequest")


def test_deep_nesting_in_yaml(api):
    headers = {"Content-Type": "application/yaml"}
    answer = api.request("POST", MAPS, b"[" * 50_000 + b"]" * 50_000, headers=headers)
    refused(answer, 400, "BadRequest")


def test_duplicate_keys(api):
    body = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","name":"y"}}'
    answer = api.request("POST", f"{MAPS}?fieldValidation=Strict", body)
    refused(answer, 400, "BadRequest")
    assert 'duplicate field "metadata.name"' in answer.json["message"]
    warned = api.request("POST", f"{MAPS}?dryRun=All", body)
    assert warned.code == 201
    assert "duplicate field" in warned.headers["Warning"]


def test_unknown_fields(api):
    body = config_map("x", dataa={})
    answer = api.request("POST", f"{MAPS}?fieldValidation=Strict", body)
    refused(answer, 400, "BadRequest")
    assert 'unknown field "dataa"' in answer.json["message"]


def test_wrong_types(api):
    answer = api.request("POST", MAPS, config_map("x", data={"a": 1}))
    assert answer.code in (400, 422)
    assert answer.json["kind"] == "Status"


@pytest.mark.parametrize("name", ["Upper", "a_b", "..", ".", "a/b", "-a", "a" * 254, "ü", ""])
def test_names_that_are_none(api, name):
    answer = api.request("POST", MAPS, config_map(name))
    assert answer.code == 422, answer.body
    assert answer.reason == "Invalid"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/../pods",
        "/api/v1/namespaces/%2e%2e/pods",
        "/api/v1/namespaces/default/pods/..",
        "/api/v1/namespaces/default/pods/%2e%2e%2fx",
        "/api/v1/namespaces/default%2fkube-system/pods/x",
        "/api/v1/namespaces/default/pods/a%00b",
    ],
)
def test_paths_that_climb(api, path):
    refused(api.get(path), 400, "BadRequest")


def test_large_bodies(api):
    body = json.dumps(config_map("big", data={"a": "x" * (4 << 20)})).encode()
    refused(api.request("POST", MAPS, body), 413, "RequestEntityTooLarge")


@pytest.mark.parametrize("content_type", ["text/plain", "application/cbor"])
def test_content_types(api, content_type):
    headers = {"Content-Type": content_type}
    answer = api.request("POST", MAPS, config_map("x"), headers=headers)
    refused(answer, 415, "UnsupportedMediaType")


def test_patch_types(api):
    path = "/api/v1/namespaces/default"
    answer = api.request("PATCH", path, {}, headers={"Content-Type": "application/json"})
    refused(answer, 415, "UnsupportedMediaType")


@pytest.mark.parametrize("accept", ["text/html", "application/json;as=Table;v=v9;g=x"])
def test_accept(api, accept):
    refused(api.get(PODS, headers={"Accept": accept}), 406, "NotAcceptable")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/default/nonsense",
        "/apis/apps/v2/deployments",
        "/apis/nothing.example/v1/things",
        "/api/v1/namespaces/default/pods/x/nonsense",
        "/api/v1/namespaces/default/nodes",
        "/nonsense",
        "/api/v2",
        "/openapi/v3/apis/none/v1",
        "/healthz/none",
    ],
)
def test_unknown_paths(api, path):
    refused(api.get(path), 404, "NotFound")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", PODS),
        ("POST", f"{PODS}/x"),
        ("DELETE", "/api/v1/pods"),
        ("DELETE", "/api/v1/namespaces"),
        ("PATCH", "/api/v1/componentstatuses/scheduler"),
        ("POST", "/version"),
        ("GET", "/apis/authorization.k8s.io/v1/subjectaccessreviews"),
        ("TRACE", PODS),
    ],
)
def test_methods(api, method, path):
    refused(api.request(method, path, {}), 405, "MethodNotAllowed")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=many", 400),
        ("timeoutSeconds=x", 400),
        ("labelSelector=%21%21", 400),
        ("fieldSelector=spec.nonsense%3D1", 400),
        ("resourceVersion=x", 400),
        ("continue=x", 400),
        ("watch=true&sendInitialEvents=true", 422),
    ],
)
def test_query_parameters_of_lists(api, query, code):
    answer = api.get(f"{PODS}?{query}")
    assert answer.json["kind"] == "Status"
    assert answer.code == code, answer.body


@pytest.mark.parametrize("query", ["dryRun=Some", "fieldValidation=Maybe", "fieldManager=%00"])
def test_query_parameters_of_writes(api, query):
    refused(api.request("POST", f"{MAPS}?{query}", config_map("x")), 422, "Invalid")


def test_names_that_differ_from_the_path(api):
    body = config_map("other")
    answer = api.request("PUT", f"{MAPS}/one", body)
    assert answer.code in (400, 404)
    assert answer.json["kind"] == "Status"


def test_kinds_that_differ_from_the_path(api):
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}
    refused(api.request("POST", MAPS, body), 400, "BadRequest")


def test_http_that_is_none(api):
    address = ("127.0.0.1", int(api.url.rpartition(":")[2]))
    context = ssl.create_default_context(cafile=str(api.pki / "ca.crt"))
    with (
        socket.create_connection(address, 10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(b"NOT HTTP AT ALL\r\n\r\n")
        answer = tls.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.")
    assert b" 400 " in head.splitlines()[0]
    assert json.loads(body)["kind"] == "Status"
