"""Watches as informers open them: lines, bookmarks, resumption, tables, ends."""

import json
import ssl
import urllib.request

import pytest


@pytest.fixture
def maps(api, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"

    def create(name):
        body = {"metadata": {"name": name, "labels": {"name": name}}}
        return api.request("POST", path, body).json

    create("one")
    return path, create


def events(api, path, **headers):
    """Every line of a watch that ends by itself."""
    answer = api.get(path, headers=headers)
    assert answer.code == 200, answer.body
    return [json.loads(line) for line in answer.body.splitlines()]


def test_the_present_state_comes_first(api, maps):
    path, _ = maps
    first = events(api, f"{path}?watch=true&timeoutSeconds=1")
    assert [(each["type"], each["object"]["metadata"]["name"]) for each in first] == [
        ("ADDED", "one")
    ]


def test_a_watch_goes_on_where_a_list_ended(api, maps):
    path, create = maps
    revision = api.get(path).json["metadata"]["resourceVersion"]
    create("two")
    api.request("DELETE", f"{path}/one")
    found = events(api, f"{path}?watch=true&timeoutSeconds=1&resourceVersion={revision}")
    assert [(each["type"], each["object"]["metadata"]["name"]) for each in found] == [
        ("ADDED", "two"),
        ("DELETED", "one"),
    ]


def test_streaming_lists_end_with_a_bookmark(api, maps):
    path, _ = maps
    query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    found = events(api, f"{path}?{query}&allowWatchBookmarks=true&timeoutSeconds=1")
    assert [each["type"] for each in found[:2]] == ["ADDED", "BOOKMARK"]
    bookmark = found[1]["object"]
    assert bookmark["kind"] == "ConfigMap"
    assert bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(bookmark["metadata"]["resourceVersion"]) > 0


def test_only_the_first_table_is_headed(api, maps):
    path, create = maps
    create("two")
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    found = events(api, f"{path}?watch=true&timeoutSeconds=1", **accept)
    tables = [each["object"] for each in found]
    assert [table["kind"] for table in tables] == ["Table", "Table"]
    assert tables[0]["columnDefinitions"][0]["name"] == "Name"
    assert not tables[1]["columnDefinitions"]
    assert tables[1]["rows"][0]["cells"][0] == "two"
    assert tables[1]["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


def test_metadata_only(api, maps):
    path, _ = maps
    accept = {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
    found = events(api, f"{path}?watch=true&timeoutSeconds=1", **accept)
    assert found[0]["object"]["kind"] == "PartialObjectMetadata"


def test_selectors(api, maps):
    path, create = maps
    create("two")
    found = events(api, f"{path}?watch=true&timeoutSeconds=1&labelSelector=name%3Dtwo")
    assert [each["object"]["metadata"]["name"] for each in found] == ["two"]


def test_the_head_comes_before_the_first_change(api, maps):
    path, _ = maps
    context = ssl.create_default_context(cafile=str(api.pki / "ca.crt"))
    context.load_cert_chain(api.pki / "admin.crt", api.pki / "admin.key")
    url = f"{api.url}{path}?watch=true&fieldSelector=metadata.name%3Dnone&timeoutSeconds=30"
    with urllib.request.urlopen(url, context=context, timeout=10) as answer:  # noqa: S310 - ours
        assert answer.status == 200


def test_a_watch_from_the_future_waits_no_longer_than_it_may(api, maps):
    path, _ = maps
    answer = api.get(f"{path}?resourceVersion=999999999")
    assert answer.code == 504
    assert answer.json["kind"] == "Status"


def test_yaml_watches_are_refused(api, maps):
    path, _ = maps
    answer = api.get(f"{path}?watch=true", headers={"Accept": "application/yaml"})
    assert (answer.code, answer.reason) == (406, "NotAcceptable")
