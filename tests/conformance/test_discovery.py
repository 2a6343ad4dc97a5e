"""Discovery in both forms, of built-in and of custom kinds."""

from collections.abc import Iterator
from typing import Any

import pytest
from kit.cluster import Cluster
from kit.definitions import crd
from kit.official import Official
from kit.syllabus import line

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
CRDS = "apiextensions.k8s.io"


@pytest.fixture
def defined(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """A definition whose kind is served."""
    definition = crd("shelves", "Shelf", "discovery.example.com", names={"shortNames": ["sh"]})
    name = definition["metadata"]["name"]
    cluster.create(**definition)
    cluster.kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=60s")
    yield definition
    cluster.kubectl("delete", "crd", name)


def aggregated(client: Official, path: str = "/apis") -> dict[str, Any]:
    answer = client.raw("GET", path, headers={"Accept": AGGREGATED})
    assert answer.code == 200
    assert answer.headers["Content-Type"] == AGGREGATED
    return answer.json


def resources(document: dict[str, Any], group: str, version: str) -> dict[str, Any]:
    (item,) = [each for each in document["items"] if each["metadata"].get("name", "") == group]
    (found,) = [each for each in item["versions"] if each["version"] == version]
    return {each["resource"]: each for each in found["resources"]}


@line("apimachinery/aggregated_discovery.go", "aggregated discovery interface")
def test_both_roots_hold_the_built_in_kinds(client: Official, cluster: Cluster) -> None:
    pods = resources(aggregated(client, "/api"), "", "v1")["pods"]
    assert {"log", "exec", "status"} <= {each["subresource"] for each in pods["subresources"]}
    groups = aggregated(client)
    assert "deployments" in resources(groups, "apps", "v1")
    assert "customresourcedefinitions" in resources(groups, CRDS, "v1")
    listed = cluster.kubectl("api-resources", "-o", "name").split()
    assert {"pods", "deployments.apps", "customresourcedefinitions.apiextensions.k8s.io"} <= set(
        listed
    )


@line("apimachinery/aggregated_discovery.go", "aggregated discovery interface, CRDs")
def test_a_custom_kind_joins(client: Official, cluster: Cluster, defined: dict[str, Any]) -> None:
    found = resources(aggregated(client), defined["spec"]["group"], "v1")["shelves"]
    assert found["scope"] == "Namespaced"
    assert found["shortNames"] == ["sh"]
    assert cluster.kubectl("get", "sh") == ""


@line("apimachinery/aggregated_discovery.go", "raw aggregated discovery Accept headers")
def test_what_is_accepted_is_answered(client: Official) -> None:
    for path in ("/api", "/apis"):
        for accept in (
            AGGREGATED,
            f"{AGGREGATED},application/json",
            f"{AGGREGATED};profile=nopeer",
        ):
            answer = client.raw("GET", path, headers={"Accept": accept})
            assert answer.json["kind"] == "APIGroupDiscoveryList"
        tag = answer.headers["ETag"]
        known = {"Accept": AGGREGATED, "If-None-Match": tag}
        assert client.raw("GET", path, headers=known).code == 304
        plain = client.raw("GET", path).json["kind"]
        assert plain == ("APIVersions" if path == "/api" else "APIGroupList")
        refused = client.raw("GET", path, headers={"Accept": AGGREGATED.replace("v2", "v9")})
        assert refused.code == 406


@line("apimachinery/aggregated_discovery.go", "raw aggregated discovery for CRDs")
def test_a_custom_kind_changes_the_tag(client: Official, cluster: Cluster) -> None:
    before = client.raw("GET", "/apis", headers={"Accept": AGGREGATED}).headers["ETag"]
    definition = crd("racks", "Rack", "raw.example.com")
    cluster.create(**definition)
    try:
        cluster.eventually(
            "the kind in the document",
            lambda: (
                "raw.example.com" in {e["metadata"]["name"] for e in aggregated(client)["items"]}
            ),
        )
        after = client.raw("GET", "/apis", headers={"Accept": AGGREGATED}).headers["ETag"]
        assert after != before
    finally:
        cluster.kubectl("delete", "crd", definition["metadata"]["name"])
    cluster.eventually(
        "the document as before",
        lambda: (
            client.raw("GET", "/apis", headers={"Accept": AGGREGATED}).headers["ETag"] == before
        ),
    )


@line("apimachinery/discovery.go", "groupVersion and a resource in each APIGroup")
def test_each_version_of_each_group_lists_resources(client: Official) -> None:
    for group in client.raw("GET", "/apis").json["groups"]:
        for version in group["versions"]:
            found = client.raw("GET", f"/apis/{version['groupVersion']}").json
            assert found["kind"] == "APIResourceList"
            assert found["groupVersion"] == version["groupVersion"]
            assert found["resources"]


@line("apimachinery/discovery.go", "PreferredVersion for each APIGroup")
def test_each_group_prefers_one_of_its_versions(client: Official) -> None:
    groups = client.raw("GET", "/apis").json["groups"]
    assert groups
    for group in groups:
        found = client.raw("GET", f"/apis/{group['name']}").json
        assert found["kind"] == "APIGroup"
        assert found["preferredVersion"] == group["preferredVersion"]
        assert found["preferredVersion"] in found["versions"]


@line("apimachinery/custom_resource_definition.go", "CRD resources in discovery")
def test_definitions_are_in_discovery(client: Official) -> None:
    groups = client.raw("GET", "/apis").json["groups"]
    (group,) = [each for each in groups if each["name"] == CRDS]
    v1 = {"groupVersion": f"{CRDS}/v1", "version": "v1"}
    assert v1 in group["versions"]
    assert v1 in client.raw("GET", f"/apis/{CRDS}").json["versions"]
    found = client.raw("GET", f"/apis/{CRDS}/v1").json["resources"]
    assert "customresourcedefinitions" in {each["name"] for each in found}
