"""What readers may ask for over HTTP, and what they are refused."""

import contextlib
import json

import pytest
import websocket

from pilothouse.services.machinery.protobuf import envelope

PROTOBUF = "application/vnd.kubernetes.protobuf"
META = "v=v1;g=meta.k8s.io"
TABLE = f"application/json;as=Table;{META}"


@pytest.fixture
def maps(api, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for name in "abc":
        assert api.request("POST", path, {"metadata": {"name": name}}).code == 201
    return path


def accepting(api, path, accept, method="GET", body=None):
    answer = api.request(method, path, body, headers={"Accept": accept})
    return answer, answer.headers.get("Content-Type", "")


def test_the_first_that_can_be_given_is(api, maps):
    answer, kind = accepting(api, maps, f"{PROTOBUF},application/json")
    assert kind == PROTOBUF
    listed = envelope.decode(answer.body)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b", "c"]
    assert listed["metadata"]["resourceVersion"]
    assert accepting(api, f"{maps}/a", f"application/cbor, {PROTOBUF}, */*")[1] == PROTOBUF
    assert accepting(api, f"{maps}/a", f"application/json, {PROTOBUF}")[1] == "application/json"
    assert accepting(api, f"{maps}/a", "application/cbor")[0].code == 406
    refused, kind = accepting(api, f"{maps}/none", f"{PROTOBUF},application/json")
    assert (refused.code, kind) == (404, PROTOBUF)
    assert envelope.decode(refused.body)["reason"] == "NotFound"


def test_metadata_in_protobuf(api, maps):
    accept = f"{PROTOBUF};as=PartialObjectMetadataList;{META},application/json"
    answer, kind = accepting(api, maps, accept)
    listed = envelope.decode(answer.body)
    assert (kind, listed["kind"]) == (PROTOBUF, "PartialObjectMetadataList")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b", "c"]
    answer, kind = accepting(api, f"{maps}/a", f"{PROTOBUF};as=PartialObjectMetadata;{META}")
    assert envelope.decode(answer.body)["kind"] == "PartialObjectMetadata"
    answer, kind = accepting(api, maps, f"{PROTOBUF};as=Table;{META},{TABLE}")
    assert (kind, answer.json["kind"]) == ("application/json", "Table")


def test_a_write_that_can_not_be_answered_is_not_done(api, maps):
    body = {"metadata": {"name": "d"}}
    for accept in ("application/cbor", f"application/json;as=PartialObjectMetadataList;{META}"):
        answer, _ = accepting(api, maps, accept, "POST", body)
        assert (answer.code, answer.json["reason"]) == (406, "NotAcceptable")
    answer, _ = accepting(api, f"{maps}?includeObject=Some", TABLE, "POST", body)
    assert answer.code == 400
    assert "includeObject: Invalid value" in answer.json["message"]
    assert api.get(f"{maps}/d").code == 404
    answer, _ = accepting(api, maps, TABLE, "POST", body)
    assert (answer.code, answer.json["kind"], len(answer.json["rows"])) == (201, "Table", 1)


def test_revisions(api, maps):
    revision = int(api.get(maps).json["metadata"]["resourceVersion"])
    assert api.get(f"{maps}/a?resourceVersion={revision}").code == 200
    future = api.get(f"{maps}?resourceVersion={revision + 1000}")
    assert (future.code, future.json["reason"]) == (504, "Timeout")
    assert future.json["message"].startswith("Timeout: Too large resource version: ")
    assert future.json["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    assert future.headers["Retry-After"] == "1"
    both = api.get(f"{maps}?resourceVersionMatch=Exact")
    assert (both.code, both.json["details"]["kind"]) == (422, "ListOptions")
    assert (
        api.get(f"{maps}?resourceVersion=x")
        .json["message"]
        .startswith('invalid resource version: resourceVersion: Invalid value: "x"')
    )


@pytest.mark.parametrize(
    ("path", "selector", "told"),
    [
        ("/api/v1/pods", "spec.foo=x", "field label not supported: spec.foo"),
        ("/apis/apps/v1/deployments", "spec.x=1",
         '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"'),
        ("/apis/batch/v1/jobs", "x=1", 'field label "x" not supported for Job'),
    ],
)  # fmt: skip
def test_fields_that_nobody_selects_by(api, path, selector, told):
    answer = api.get(f"{path}?fieldSelector={selector}")
    assert (answer.code, answer.json["message"]) == (400, told)


def test_old_paths_of_watches(api, maps, namespace):
    for path, names in (
        (f"/api/v1/watch/namespaces/{namespace}/configmaps", "abc"),
        (f"/api/v1/watch/namespaces/{namespace}/configmaps/b", "b"),
    ):
        lines = api.get(f"{path}?timeoutSeconds=1").body.splitlines()
        assert "".join(json.loads(line)["object"]["metadata"]["name"] for line in lines) == names
    lines = api.get(f"/api/v1/watch/namespaces/{namespace}?timeoutSeconds=1").body.splitlines()
    assert [json.loads(line)["object"]["metadata"]["name"] for line in lines] == [namespace]


def test_a_node_may_watch_what_its_pods_name_one_by_one(api, namespace):
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    for name in ("mine", "other"):
        assert api.request("POST", secrets, {"metadata": {"name": name}}).code == 201
    spec = {
        "nodeName": "node-1",
        "containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "v", "secret": {"secretName": "mine"}}],
    }
    body = {"metadata": {"name": "p"}, "spec": spec}
    assert api.request("POST", f"/api/v1/namespaces/{namespace}/pods", body).code == 201
    user = "kubelet-node-1"
    one = f"{secrets}?fieldSelector=metadata.name%3D"
    assert len(api.get(f"{one}mine", user=user).json["items"]) == 1
    lines = api.get(f"{one}mine&watch=true&timeoutSeconds=1", user=user).body.splitlines()
    assert json.loads(lines[0])["object"]["metadata"]["name"] == "mine"
    assert api.get(f"{one}other", user=user).code == 403
    assert api.get(secrets, user=user).code == 403


@pytest.mark.parametrize("accept", ["application/json", PROTOBUF])
def test_a_watch_over_a_web_socket(api, maps, accept):
    tls = {"ca_certs": api.pki / "ca.crt", "certfile": api.pki / "admin.crt",
           "keyfile": api.pki / "admin.key"}  # fmt: skip
    url = f"{api.url.replace('https', 'wss')}{maps}?watch=1"
    seen = []
    with contextlib.closing(
        websocket.create_connection(url, timeout=10, sslopt=tls, header={"Accept": accept})
    ) as connection:
        for _ in range(3):
            kind, data = connection.recv_data()
            if accept == PROTOBUF:
                assert kind == websocket.ABNF.OPCODE_BINARY
                document = envelope.decode(data[data.index(envelope.MAGIC) :])
            else:
                assert kind == websocket.ABNF.OPCODE_TEXT
                document = json.loads(data)["object"]
            seen.append(document["metadata"]["name"])
    assert seen == ["a", "b", "c"]
