"""OpenAPI of custom kinds, and what kubectl makes of it."""

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kit.cluster import Cluster
from kit.definitions import crd, version
from kit.official import Official
from kit.syllabus import line

FILE = "apimachinery/crd_publish_openapi.go"
NUMBERS = itertools.count(1)
BARS = {
    "description": "List of Bars and their specs.",
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"description": "Name of Bar.", "type": "string"},
            "age": {"description": "Age of Bar.", "type": "string"},
            "feeling": {
                "description": "How it feels.",
                "type": "string",
                "enum": ["Great", "Down"],
            },
            "bazs": {"type": "array", "items": {"type": "string"}},
        },
    },
}
FOO = {
    "description": "Foo for a test.",
    "type": "object",
    "properties": {
        "spec": {
            "type": "object", "description": "Specification of Foo.", "properties": {"bars": BARS},
        },
        "status": {"type": "object", "properties": {"bars": BARS}},
    },
}  # fmt: skip
OPEN = {"x-kubernetes-preserve-unknown-fields": True}

Define = Callable[..., dict[str, Any]]


@pytest.fixture
def define(cluster: Cluster) -> Iterator[Define]:
    """Makes definitions in a group of the test's own; they are deleted afterwards."""
    names = []
    own = f"openapi-{next(NUMBERS)}.example.com"

    def make(plural: str = "foos", kind: str = "Foo", group: str = own, **spec: Any) -> Any:
        definition = crd(plural, kind, group, **spec)
        cluster.create(**definition)
        name = definition["metadata"]["name"]
        names.append(name)
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=60s")
        return definition

    yield make
    for name in names:
        cluster.kubectl("delete", "crd", name)


class Spoken:
    """One kind as the documents have it."""

    def __init__(
        self, cluster: Cluster, client: Official, definition: dict[str, Any], version: str = "v1"
    ) -> None:
        spec = definition["spec"]
        self.cluster, self.client = cluster, client
        self.group, self.version = spec["group"], version
        self.kind, self.plural = spec["names"]["kind"], spec["names"]["plural"]
        reverse = ".".join(reversed(self.group.split(".")))
        self.name = f"{reverse}.{version}.{self.kind}"

    def v2(self) -> Any:
        return self.client.raw("GET", "/openapi/v2").json["definitions"].get(self.name)

    def v3(self) -> Any:
        index = self.client.raw("GET", "/openapi/v3").json["paths"]
        place = index.get(f"apis/{self.group}/{self.version}")
        if place is None:
            return None
        document = self.client.raw("GET", place["serverRelativeURL"]).json
        return document["components"]["schemas"].get(self.name)

    def wait_published(self) -> None:
        self.cluster.eventually("its definitions", lambda: self.v2() and self.v3())

    def wait_gone(self) -> None:
        self.cluster.eventually("no definition", lambda: not self.v2() and not self.v3())

    def object(self, name: str = "one", **fields: Any) -> str:
        api_version = f"{self.group}/{self.version}"
        metadata = {"name": name}
        return json.dumps({
            "apiVersion": api_version, "kind": self.kind, "metadata": metadata, **fields,
        })  # fmt: skip

    def accepts(self, namespace: str, **fields: Any) -> None:
        """Created, changed, applied and deleted through kubectl, which checks it strictly."""
        text = self.object(**fields)
        for verb in ("create", "delete", "apply", "apply", "delete"):
            self.cluster.kubectl(verb, "-n", namespace, "-f", "-", stdin=text)

    def refuses(self, namespace: str, reason: str, **fields: Any) -> None:
        for verb in ("create", "apply"):
            done = self.cluster.try_kubectl(
                verb, "-n", namespace, "-f", "-", stdin=self.object(**fields)
            )
            assert done.returncode != 0
            assert reason in done.stderr

    def explain(self, path: str = "") -> str:
        return self.cluster.kubectl("explain", f"{self.plural}.{self.group}{path}")


def bare(schema: dict[str, Any]) -> dict[str, Any]:
    """A published schema without what every object has."""
    properties = dict(schema["properties"])
    for name in ("apiVersion", "kind", "metadata"):
        del properties[name]
    left = {k: v for k, v in schema.items() if k != "x-kubernetes-group-version-kind"}
    return {**left, "properties": properties}


@line(FILE, "CRD with validation schema")
def test_a_schema_is_published_and_kept_to(
    cluster: Cluster, client: Official, define: Define, namespace: str
) -> None:
    foo = Spoken(cluster, client, define(versions=[version(schema=FOO)]))
    foo.wait_published()
    assert bare(foo.v2()) == FOO
    assert bare(foo.v3()) == FOO
    foo.accepts(namespace, spec={"bars": [{"name": "b", "age": "10", "feeling": "Great"}]})
    foo.refuses(namespace, 'unknown field "spec.foo"', spec={"foo": True})
    foo.refuses(namespace, "spec.bars[0].name: Required value", spec={"bars": [{"age": "1"}]})
    sad = {"bars": [{"name": "b", "feeling": "Sad"}]}
    foo.refuses(namespace, 'supported values: "Great", "Down"', spec=sad)
    text = foo.explain()
    assert "Foo for a test." in text
    assert "Specification of Foo." in text
    bars = foo.explain(".spec.bars")
    assert "List of Bars and their specs." in bars
    assert "-required-" in bars
    assert "bazs\t<[]string>" in bars
    missing = cluster.try_kubectl("explain", f"foos.{foo.group}.spec.bars2")
    assert 'field "bars2" does not exist' in missing.stderr


@line(FILE, "CRD without validation schema")
def test_no_schema_accepts_all(
    cluster: Cluster, client: Official, define: Define, namespace: str
) -> None:
    empty = {"type": "object", **OPEN}
    foo = Spoken(cluster, client, define(versions=[version(schema=empty)]))
    foo.wait_published()
    assert "properties" not in foo.v2()
    foo.accepts(namespace, any={"thing": [1, "a"]})
    assert "DESCRIPTION:\n    <empty>" in foo.explain()


@line(FILE, "CRD preserving unknown fields at root")
def test_open_at_its_root(
    cluster: Cluster, client: Official, define: Define, namespace: str
) -> None:
    root = {**FOO, **OPEN}
    foo = Spoken(cluster, client, define(versions=[version(schema=root)]))
    foo.wait_published()
    assert set(foo.v2()) == {"type", "x-kubernetes-group-version-kind"}
    foo.accepts(namespace, a="b", spec={"bars": [{"name": "b"}]})
    assert "KIND:       Foo" in foo.explain()


@line(FILE, "CRD preserving unknown fields in embedded obj")
def test_open_within(cluster: Cluster, client: Official, define: Define, namespace: str) -> None:
    within = {
        "type": "object",
        "description": "Open within.",
        "properties": {"spec": {"type": "object", "description": "Specification.", **OPEN}},
    }
    foo = Spoken(cluster, client, define(versions=[version(schema=within)]))
    foo.wait_published()
    assert "type" not in foo.v2()["properties"]["spec"]
    foo.accepts(namespace, spec={"a": {"b": [None, 1]}, "c": "d"})
    assert "Open within." in foo.explain()


@line(FILE, "multiple CRDs, different groups")
def test_groups_side_by_side(cluster: Cluster, client: Official, define: Define) -> None:
    number = next(NUMBERS)
    for group in (f"one-{number}.example.com", f"two-{number}.example.com"):
        versions = [version(schema=FOO)]
        Spoken(cluster, client, define(group=group, versions=versions)).wait_published()


@line(FILE, "one CRD, several versions")
def test_versions_side_by_side(cluster: Cluster, client: Official, define: Define) -> None:
    versions = [version("v2", schema=FOO), version("v3", schema=FOO, storage=False)]
    definition = define(versions=versions)
    for each in ("v2", "v3"):
        Spoken(cluster, client, definition, each).wait_published()


@line(FILE, "multiple CRDs, same group+version, different kinds")
def test_kinds_side_by_side(cluster: Cluster, client: Official, define: Define) -> None:
    found = [
        Spoken(cluster, client, define(plural, kind, versions=[version(schema=FOO)]))
        for plural, kind in (("foos", "Foo"), ("waldos", "Waldo"))
    ]
    for each in found:
        each.wait_published()


@line(FILE, "update spec on version rename")
def test_documents_follow_a_version(cluster: Cluster, client: Official, define: Define) -> None:
    versions = [version("v2", schema=FOO), version("v3", schema=FOO, storage=False)]
    definition = define(versions=versions)
    Spoken(cluster, client, definition, "v3").wait_published()
    rename = [{"op": "replace", "path": "/spec/versions/1/name", "value": "v4"}]
    name = definition["metadata"]["name"]
    cluster.kubectl("patch", "crd", name, "--type=json", "-p", json.dumps(rename))
    Spoken(cluster, client, definition, "v4").wait_published()
    Spoken(cluster, client, definition, "v3").wait_gone()
    assert Spoken(cluster, client, definition, "v2").v2()


@line(FILE, "drop definition when version unserved")
def test_an_unserved_version_is_dropped(cluster: Cluster, client: Official, define: Define) -> None:
    versions = [version("v5", schema=FOO), version("v6alpha1", schema=FOO, storage=False)]
    definition = define(versions=versions)
    kept, gone = (Spoken(cluster, client, definition, each) for each in ("v5", "v6alpha1"))
    gone.wait_published()
    before = kept.v2()
    unserve = [{"op": "replace", "path": "/spec/versions/1/served", "value": False}]
    name = definition["metadata"]["name"]
    cluster.kubectl("patch", "crd", name, "--type=json", "-p", json.dumps(unserve))
    gone.wait_gone()
    assert kept.v2() == before
