"""Discovery: what is served, in which order, and how custom kinds join."""

from dataclasses import replace

import pytest

from pilothouse.services.apiserver.kinds.catalog import Catalog, builtin_catalog
from pilothouse.services.apiserver.kinds.custom import Custom
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.rest import replies
from pilothouse.services.apiserver.rest.discovery import aggregated, legacy
from pilothouse.services.machinery.protobuf import envelope

CATALOG = builtin_catalog()
FULL = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
# The order of upstream's aggregator, highest priority first.
ORDER = [
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "storagemigration.k8s.io",
]


def custom(group="shop.example.com", version="v1", plural="carts", kind="Cart"):
    return Kind(group, version, plural, kind.lower(), kind, namespaced=True)


def test_both_forms_say_the_same():
    for core in (True, False):
        for item in aggregated.groups(CATALOG, core=core)["items"]:
            group = item["metadata"].get("name", "")
            for version in item["versions"]:
                listed = legacy.resources(CATALOG, group, version["version"])
                names = [each["name"] for each in listed["resources"] if "/" not in each["name"]]
                assert names == [each["resource"] for each in version["resources"]]
                subresources = {each["name"] for each in listed["resources"]} - set(names)
                assert subresources == {
                    f"{each['resource']}/{sub['subresource']}"
                    for each in version["resources"]
                    for sub in each.get("subresources", ())
                }


def test_groups_stand_in_upstreams_order():
    assert [each["name"] for each in legacy.groups(CATALOG)["groups"]] == ORDER
    items = aggregated.groups(CATALOG, core=False)["items"]
    assert [each["metadata"]["name"] for each in items] == ORDER
    scaling = legacy.group(CATALOG, "autoscaling")
    assert [each["version"] for each in scaling["versions"]] == ["v2", "v1"]
    assert scaling["preferredVersion"] == {"groupVersion": "autoscaling/v2", "version": "v2"}


def test_pods_are_described_as_in_kubernetes():
    items = aggregated.groups(CATALOG, core=True)["items"]
    (pods,) = [each for each in items[0]["versions"][0]["resources"] if each["resource"] == "pods"]
    assert pods == {
        "resource": "pods",
        "responseKind": {"group": "", "version": "", "kind": "Pod"},
        "scope": "Namespaced",
        "singularResource": "pod",
        "verbs": FULL,
        "shortNames": ["po"],
        "categories": ["all"],
        "subresources": pods["subresources"],
    }
    eviction = {"group": "policy", "version": "v1", "kind": "Eviction"}
    assert {
        "subresource": "eviction", "responseKind": eviction, "verbs": ["create"],
    } in pods["subresources"]  # fmt: skip


@pytest.mark.parametrize(
    ("group", "version", "name", "digest"),
    [
        ("", "v1", "pods", "xPOwRZ+Yhw8="),
        ("", "v1", "events", "r2yiGXH7wu8="),
        ("events.k8s.io", "v1", "events", "r2yiGXH7wu8="),
        ("certificates.k8s.io", "v1", "certificatesigningrequests", "95fRKMXA+00="),
        ("networking.k8s.io", "v1", "servicecidrs", "gNLvruQhW2g="),
        ("resource.k8s.io", "v1", "deviceclasses", "Yk2PTc1Ybxk="),
    ],
)
def test_the_storage_version_is_upstreams(group, version, name, digest):
    listed = legacy.resources(CATALOG, group, version)["resources"]
    (found,) = [each for each in listed if each["name"] == name]
    assert found["storageVersionHash"] == digest


def test_what_is_computed_has_no_storage_version():
    listed = legacy.resources(CATALOG, "", "v1")["resources"]
    by_name = {each["name"]: each for each in listed}
    assert "storageVersionHash" not in by_name["componentstatuses"]
    assert "storageVersionHash" not in by_name["pods/status"]
    assert by_name["pods/eviction"]["group"] == "policy"
    assert "group" not in by_name["pods/binding"]


def test_the_core_groups_list_has_no_version():
    assert "apiVersion" not in legacy.resources(CATALOG, "", "v1")
    assert legacy.resources(CATALOG, "apps", "v1")["apiVersion"] == "v1"
    assert "apiVersion" not in legacy.api_versions("127.0.0.1:6443")


def test_what_is_not_served_is_not_there():
    assert legacy.resources(CATALOG, "apps", "v9") is None
    assert legacy.group(CATALOG, "nothing") is None
    assert legacy.group(CATALOG, "") is None


def test_custom_kinds_come_last_and_their_versions_as_kubernetes_prefers():
    catalog = builtin_catalog()
    before = catalog.generation
    for version in ("v1alpha1", "v2beta1", "v10", "v2", "release"):
        catalog.add(custom(version=version))
    catalog.add(custom(group="a.example.com"))
    assert catalog.generation > before
    names = [each["name"] for each in legacy.groups(catalog)["groups"]]
    assert names == [*ORDER, "a.example.com", "shop.example.com"]
    versions = [each["version"] for each in legacy.group(catalog, "shop.example.com")["versions"]]
    assert versions == ["v10", "v2", "v2beta1", "v1alpha1", "release"]
    item = aggregated.groups(catalog, core=False)["items"][-1]["versions"][0]
    spoken = {"group": "shop.example.com", "version": "v10", "kind": "Cart"}
    assert item["resources"][0]["responseKind"] == spoken


def test_what_goes_is_gone():
    catalog, kind = builtin_catalog(), custom()
    catalog.add(kind)
    assert legacy.group(catalog, kind.group) is not None
    generation = catalog.generation
    catalog.remove(kind)
    assert legacy.group(catalog, kind.group) is None
    assert catalog.generation == generation + 1
    catalog.remove(kind)
    assert catalog.generation == generation + 1


def test_a_catalog_without_kinds_has_no_groups():
    assert Catalog([]).groups() == {}
    only = replace(custom(), plural="one")
    assert list(Catalog([only]).groups()) == ["shop.example.com"]


@pytest.mark.parametrize(
    "document",
    [
        aggregated.groups(CATALOG, core=True),
        aggregated.groups(CATALOG, core=False),
        legacy.groups(CATALOG),
        legacy.group(CATALOG, "apps"),
        legacy.resources(CATALOG, "", "v1"),
        legacy.resources(CATALOG, "apps", "v1"),
        legacy.api_versions("127.0.0.1:6443"),
    ],
    ids=lambda document: document["kind"],
)
def test_protobuf_says_the_same(document):
    read = envelope.decode(replies.written(document, "protobuf"))
    assert {**document, "apiVersion": read["apiVersion"]} == read


def test_a_kind_that_is_going_offers_nothing_new():
    catalog = builtin_catalog()
    catalog.add(replace(custom(), custom=Custom(treatment=None, terminating=True)))
    (listed,) = legacy.resources(catalog, "shop.example.com", "v1")["resources"]
    assert listed["verbs"] == ["delete", "deletecollection", "get", "list", "watch"]
