"""Lists in every form that a client may ask for say the same."""

import gzip
import json

import pytest
import yaml

COUNT = 20


@pytest.fixture
def maps(api, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for number in range(COUNT):
        body = {"metadata": {"name": f"m{number:02}"}, "data": {"text": "x" * 20_000}}
        assert api.request("POST", path, body).code == 201
    return path


def test_plain_compressed_and_yaml(api, maps):
    plain = api.get(maps)
    assert int(plain.headers["Content-Length"]) == len(plain.body)
    assert [item["metadata"]["name"] for item in plain.json["items"]] == [
        f"m{number:02}" for number in range(COUNT)
    ]
    packed = api.get(maps, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.body) < len(plain.body) / 10
    assert json.loads(gzip.decompress(packed.body))["items"] == plain.json["items"]
    written = yaml.safe_load(api.get(maps, headers={"Accept": "application/yaml"}).body)
    names = [item["metadata"]["name"] for item in written["items"]]
    assert names == [item["metadata"]["name"] for item in plain.json["items"]]
    indented = api.get(f"{maps}?pretty=true")
    assert indented.body.startswith(b'{\n  "kind": "ConfigMapList"')
    assert indented.json["items"] == plain.json["items"]


def test_head_has_no_body(api, maps):
    answer = api.request("HEAD", maps)
    assert (answer.code, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > COUNT * 20_000


def test_pages(api, maps):
    first = api.get(f"{maps}?limit=15").json
    assert len(first["items"]) == 15
    assert first["metadata"]["remainingItemCount"] == COUNT - 15
    token = first["metadata"]["continue"]
    second = api.get(f"{maps}?limit=15&continue={token}").json
    assert len(second["items"]) == COUNT - 15
    assert "continue" not in second["metadata"]


def test_metadata_only(api, maps):
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
    answer = api.get(maps, headers={"Accept": accept}).json
    assert (answer["kind"], answer["apiVersion"]) == (
        "PartialObjectMetadataList",
        "meta.k8s.io/v1",
    )
    assert set(answer["items"][0]) == {"kind", "apiVersion", "metadata"}


def test_deleting_a_collection(api, maps):
    gone = api.request("DELETE", f"{maps}?fieldSelector=metadata.name%3Dm03").json
    assert [item["metadata"]["name"] for item in gone["items"]] == ["m03"]
    assert api.request("DELETE", maps).code == 200
    assert api.get(maps).json["items"] == []
