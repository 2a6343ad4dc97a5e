"""Custom resources: definitions, their objects, their watches, and what a strict server refuses."""

import itertools
from typing import Any

import pytest
import yaml
from kit.cluster import Cluster
from kit.definitions import CRON, crd, version
from kit.official import Official
from kit.syllabus import line

DEFINITION = "apimachinery/custom_resource_definition.go"
VALIDATION = "apimachinery/field_validation.go"
PLACE = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = "noxu.example.com"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
PORTS = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
    "items": {
        "type": "object",
        "required": ["containerPort", "protocol"],
        "properties": {
            "containerPort": {"type": "integer", "format": "int32"},
            "name": {"type": "string"},
            "protocol": {"type": "string"},
        },
    },
}
FIELDS = {
    "foo": {"type": "string"},
    "cronSpec": {"type": "string", "pattern": CRON},
    "ports": PORTS,
}
TEMPLATE = {
    "type": "object",
    "x-kubernetes-embedded-resource": True,
    "properties": {
        "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
        "spec": {"type": "object"},
    },
}
_NUMBERS = itertools.count(1)


def specified(**more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"spec": {"type": "object", **more}}}


class Defined:
    """A definition of its own, and requests on its objects."""

    def __init__(self, client: Official, cluster: Cluster, **changes: Any) -> None:
        self.plural = f"noxus{next(_NUMBERS)}"
        self.kind = self.plural.capitalize()
        self.name = f"{self.plural}.{GROUP}"
        self.client = client
        body = crd(self.plural, self.kind, GROUP, **changes)
        answer = client.raw("POST", PLACE, body)
        assert answer.code == 201, answer.body
        cluster.eventually("the definition is established", self.established)

    def established(self) -> bool:
        conditions = self.read()["status"].get("conditions", ())
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    def read(self) -> Any:
        return self.client.raw("GET", f"{PLACE}/{self.name}").json

    def path(self, name: str = "", namespace: str = "", version: str = "v1") -> str:
        inside = f"/namespaces/{namespace}" if namespace else ""
        return f"/apis/{GROUP}/{version}{inside}/{self.plural}" + (f"/{name}" if name else "")

    def body(self, name: str, **more: Any) -> dict[str, Any]:
        head = {"apiVersion": f"{GROUP}/v1", "kind": self.kind, "metadata": {"name": name}}
        return {**head, **more}

    def apply(self, text: str) -> Any:
        path = self.path("mytest") + "?fieldManager=field_validation_mgr&fieldValidation=Strict"
        headers = {"Content-Type": "application/apply-patch+yaml"}
        head = f"\napiVersion: {GROUP}/v1\nkind: {self.kind}\nmetadata:\n  name: mytest\n"
        return self.client.raw("PATCH", path, head + text, headers=headers)


@pytest.fixture
def define(client: Official, cluster: Cluster) -> Any:
    made: list[Defined] = []

    def define(**changes: Any) -> Defined:
        made.append(Defined(client, cluster, **changes))
        return made[-1]

    yield define
    for one in made:
        client.raw("DELETE", f"{PLACE}/{one.name}")


@line(DEFINITION, "create/delete CRD")
def test_a_definition_comes_and_goes(client: Official, cluster: Cluster, define: Any) -> None:
    made = define()
    assert client.raw("GET", made.path()).code == 200
    assert client.raw("DELETE", f"{PLACE}/{made.name}").code == 200
    cluster.eventually("it is gone", lambda: client.raw("GET", f"{PLACE}/{made.name}").code == 404)
    assert client.raw("GET", made.path()).code == 404


@line(DEFINITION, "list CRDs")
def test_definitions_are_listed_and_deleted_together(
    client: Official, cluster: Cluster, define: Any
) -> None:
    made = [define() for _ in range(3)]
    merge = {"Content-Type": "application/merge-patch+json"}
    for one in made:
        labels = {"metadata": {"labels": {"crdtest": "mine"}}}
        assert client.raw("PATCH", f"{PLACE}/{one.name}", labels, headers=merge).code == 200
    selected = f"{PLACE}?labelSelector=crdtest%3Dmine"
    assert len(client.raw("GET", selected).json["items"]) == 3
    assert client.raw("DELETE", selected).code == 200
    cluster.eventually("all are gone", lambda: not client.raw("GET", selected).json["items"])


@line(DEFINITION, "CRD status sub-resource")
def test_the_status_of_a_definition(client: Official, define: Any) -> None:
    made = define()
    path = f"{PLACE}/{made.name}/status"
    body = client.raw("GET", path).json
    told = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from test"}
    body["status"]["conditions"].append(told)
    body = client.raw("PUT", path, body).json
    assert "StatusUpdate" in {c["type"] for c in body["status"]["conditions"]}
    patch = {"status": {"conditions": [{**told, "type": "StatusPatched"}]}, "spec": {"scope": "x"}}
    headers = {"Content-Type": "application/merge-patch+json"}
    body = client.raw("PATCH", path, patch, headers=headers).json
    assert {c["type"] for c in body["status"]["conditions"]} == {"StatusPatched"}
    assert body["spec"]["scope"] == "Namespaced"


@line(DEFINITION, "CR defaulting")
def test_defaults_on_requests_and_from_storage(client: Official, define: Any) -> None:
    plain = specified(properties={"a": {"type": "string"}})
    made = define(versions=[version(schema=plain)], scope="Cluster")
    assert client.raw("POST", made.path(), made.body("one", spec={})).code == 201
    with_default = specified(properties={"a": {"type": "string", "default": "A"}})
    patch = {"spec": {"versions": [version(schema=with_default)]}}
    headers = {"Content-Type": "application/merge-patch+json"}
    assert client.raw("PATCH", f"{PLACE}/{made.name}", patch, headers=headers).code == 200
    assert client.raw("GET", made.path("one")).json["spec"] == {"a": "A"}
    assert client.raw("POST", made.path(), made.body("two", spec={})).json["spec"] == {"a": "A"}


@line(DEFINITION, "CRD resources in discovery")
def test_definitions_in_discovery(client: Official) -> None:
    groups = client.raw("GET", "/apis").json["groups"]
    group = next(one for one in groups if one["name"] == "apiextensions.k8s.io")
    assert {"groupVersion": "apiextensions.k8s.io/v1", "version": "v1"} in group["versions"]
    assert client.raw("GET", "/apis/apiextensions.k8s.io").json["name"] == "apiextensions.k8s.io"
    found = client.raw("GET", "/apis/apiextensions.k8s.io/v1").json["resources"]
    assert "customresourcedefinitions" in {one["name"] for one in found}


@line("apimachinery/crd_watch.go", "watch CR objects")
def test_watches_of_custom_objects(client: Official, define: Any) -> None:
    made = define(scope="Cluster", versions=[version(schema=ANYTHING)])
    start = client.raw("GET", made.path()).json["metadata"]["resourceVersion"]
    merge = {"Content-Type": "application/merge-patch+json"}
    for name in ("a", "b"):
        assert client.raw("POST", made.path(), made.body(name)).code == 201
        client.raw("PATCH", made.path(name), {"dummy": "test"}, headers=merge)
        assert client.raw("DELETE", made.path(name)).code == 200
    answer = client.raw("GET", f"{made.path()}?watch=1&resourceVersion={start}&timeoutSeconds=1")
    seen = [yaml.safe_load(text) for text in answer.body.splitlines()]
    told = [(event["type"], event["object"]["metadata"]["name"]) for event in seen]
    kinds = ("ADDED", "MODIFIED", "DELETED")
    assert told == [(kind, name) for name in ("a", "b") for kind in kinds]
    assert seen[1]["object"]["dummy"] == "test"


@line("apimachinery/crd_selectable_fields.go", "CR field selectors")
def test_custom_objects_by_their_fields(client: Official, define: Any) -> None:
    schema = {
        "type": "object",
        "properties": {
            "hostPort": {"type": "string"},
            "host": {"type": "string"},
            "port": {"type": "string"},
        },
    }
    fields = [{"jsonPath": ".host"}, {"jsonPath": ".port"}]
    made = define(
        scope="Cluster",
        versions=[
            version(schema=schema, selectableFields=fields),
            version(
                "v2", schema=schema, storage=False, selectableFields=[{"jsonPath": ".hostPort"}]
            ),
        ],
    )
    start = client.raw("GET", made.path()).json["metadata"]["resourceVersion"]
    for name, host, port in (("one", "host1", "80"), ("two", "host2", "8080")):
        body = made.body(name, host=host, port=port, hostPort=f"{host}:{port}")
        assert client.raw("POST", made.path(), body).code == 201

    def names(query: str, version: str = "v1") -> list[str]:
        found = client.raw("GET", f"{made.path(version=version)}?{query}").json["items"]
        return [one["metadata"]["name"] for one in found]

    assert names("fieldSelector=host%3Dhost1") == ["one"]
    assert names("fieldSelector=host%3Dhost2,port%3D80") == []
    assert names("fieldSelector=hostPort%3Dhost2:8080", "v2") == ["two"]
    refused = client.raw("GET", f"{made.path()}?fieldSelector=hostPort%3Dx")
    assert refused.code == 400
    query = f"watch=1&fieldSelector=host%3Dhost2&resourceVersion={start}&timeoutSeconds=1"
    seen = [
        yaml.safe_load(one) for one in client.raw("GET", f"{made.path()}?{query}").body.splitlines()
    ]
    assert [event["object"]["metadata"]["name"] for event in seen] == ["two"]
    assert client.raw("DELETE", f"{made.path()}?fieldSelector=host%3Dhost1").code == 200
    assert names("") == ["two"]


SOUND = """spec:
  foo: foo1
  cronSpec: "* * * * */5"
  ports:
  - name: x
    containerPort: 80
    protocol: TCP
"""


@line(VALIDATION, "CR unknown fields, CRD without schema")
def test_anything_goes_without_a_schema(define: Any) -> None:
    made = define(scope="Cluster", versions=[version(schema=ANYTHING)])
    assert made.apply(SOUND + "  unknown: uk1\n").code == 201


@line(VALIDATION, "valid CR with schema")
def test_a_sound_object_is_applied(define: Any) -> None:
    made = define(scope="Cluster", versions=[version(schema=specified(properties=FIELDS))])
    assert made.apply(SOUND).code == 201


@line(VALIDATION, "CR with extra properties")
def test_extra_properties_are_refused(define: Any) -> None:
    made = define(scope="Cluster", versions=[version(schema=specified(properties=FIELDS))])
    answer = made.apply("unknownField: unknown\n" + SOUND)
    assert b".unknownField: field not declared in schema" in answer.body


@line(VALIDATION, "CR duplicate fields")
def test_fields_given_twice_are_refused(define: Any) -> None:
    schema = specified(properties=FIELDS, **{"x-kubernetes-preserve-unknown-fields": True})
    made = define(scope="Cluster", versions=[version(schema=schema)])
    answer = made.apply(
        "  finalizers:\n  - test-finalizer\nspec:\n  unknown: uk1\n  foo: 1\n  foo: 2\n"
    )
    assert rb"line 11: key \"foo\" already set in map" in answer.body


@line(VALIDATION, "unknown metadata in CR root and embedded")
def test_unknown_metadata_is_refused(define: Any) -> None:
    schema = specified(
        properties={**FIELDS, "template": TEMPLATE},
        **{"x-kubernetes-preserve-unknown-fields": True},
    )
    made = define(scope="Cluster", versions=[version(schema=schema)])
    inner = "  template:\n    apiVersion: foo/v1\n    kind: Sub\n    metadata:\n      what: x\n"
    answer = made.apply("  unknownMeta: unknown\n" + SOUND + inner)
    assert answer.code == 400
    assert b".metadata.unknownMeta: field not declared in schema" in answer.body


@line(VALIDATION, "typed object unknown+duplicate")
def test_unknown_and_repeated_fields_are_told_together(client: Official, namespace: str) -> None:
    text = """{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "my-dep"},
      "spec": {"unknownField": "foo", "replicas": 2, "replicas": 3,
        "selector": {"matchLabels": {"app": "nginx"}},
        "template": {"metadata": {"labels": {"app": "nginx"}},
          "spec": {"containers": [{"name": "nginx", "image": "nginx:latest"}]}}}}"""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments?fieldValidation=Strict"
    told = client.raw("POST", path, text).json["message"]
    assert 'unknown field "spec.unknownField", duplicate field "spec.replicas"' in told
    assert "strict decoding error: unknown" in told


@line(VALIDATION, "unknown metadata in typed object")
def test_unknown_metadata_of_a_typed_object(client: Official, namespace: str) -> None:
    body = {"metadata": {"name": "x", "unknownMeta": "foo"}}
    path = f"/api/v1/namespaces/{namespace}/configmaps?fieldValidation=Strict"
    told = client.raw("POST", path, body).json["message"]
    assert 'strict decoding error: unknown field "metadata.unknownMeta"' in told
