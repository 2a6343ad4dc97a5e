"""Discovery, OpenAPI and health, as documents."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.kinds.schemas import published_schemas
from pilothouse.services.apiserver.rest import discovery
from pilothouse.services.apiserver.rest.health import Health
from pilothouse.services.apiserver.rest.openapi import OpenApi
from pilothouse.services.apiserver.rest.replies import warn
from pilothouse.services.machinery.errors import NotFound

CATALOG = builtin_catalog()
SCHEMAS = published_schemas()


def test_both_forms_of_discovery_say_the_same():
    for core in (True, False):
        for item in discovery.aggregated(CATALOG, core=core)["items"]:
            group = item["metadata"]["name"]
            for version in item["versions"]:
                legacy = discovery.resources(CATALOG, group, version["version"])
                names = [each["name"] for each in legacy["resources"] if "/" not in each["name"]]
                assert names == [each["resource"] for each in version["resources"]]
                subresources = {each["name"] for each in legacy["resources"]} - set(names)
                assert subresources == {
                    f"{each['resource']}/{sub['subresource']}"
                    for each in version["resources"]
                    for sub in each.get("subresources", ())
                }


def test_pods_are_described_as_in_kubernetes():
    items = discovery.aggregated(CATALOG, core=True)["items"]
    (pods,) = [each for each in items[0]["versions"][0]["resources"] if each["resource"] == "pods"]
    assert pods["scope"] == "Namespaced"
    assert pods["shortNames"] == ["po"]
    assert pods["categories"] == ["all"]
    assert pods["responseKind"] == {"group": "", "version": "v1", "kind": "Pod"}
    assert {each["subresource"] for each in pods["subresources"]} >= {"log", "exec", "status"}


def test_what_is_not_served_is_not_there():
    assert discovery.resources(CATALOG, "apps", "v9") is None
    assert discovery.group(CATALOG, "nothing") is None
    assert discovery.group(CATALOG, "apps")["preferredVersion"]["version"] == "v1"


@pytest.fixture(scope="module")
def openapi():
    return OpenApi(CATALOG, SCHEMAS, "v1")


def documents(openapi):
    for path in openapi.index()["paths"]:
        yield path, msgspec.json.decode(openapi.document(path))


def references(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref" and isinstance(inner, str):
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_leads_somewhere(openapi):
    for path, document in documents(openapi):
        known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
        assert set(references(document)) <= known, path


def test_kubectl_finds_what_it_looks_for(openapi):
    document = msgspec.json.decode(openapi.document("apis/apps/v1"))
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert patch["x-kubernetes-group-version-kind"] == kind
    assert "fieldValidation" in {each["name"] for each in patch["parameters"]}
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]
    schema = document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"]
    assert schema["type"] == "object"
    assert kind in schema["x-kubernetes-group-version-kind"]


def test_types_are_single_words(openapi):
    def types(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "type" and isinstance(inner, list):
                    yield inner
                yield from types(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from types(inner)

    for path, document in documents(openapi):
        assert list(types(document["components"])) == [], path


def test_an_unknown_document_is_none(openapi):
    assert openapi.document("apis/none/v1") is None
    assert openapi.document("") is None


async def well():
    return ""


async def ill():
    return "the disk is full"


HEALTH = Health({"readyz": {"ping": well, "etcd": ill}, "livez": {"ping": well}})


async def text_of(segments, query=(), excluded=()):
    reply = await HEALTH.reply(segments, dict.fromkeys(query, ""), list(excluded))
    return reply.status, reply.body.decode()


async def test_health_in_words():
    assert await text_of(["livez"]) == (200, "ok")
    assert await text_of(["livez"], ["verbose"]) == (200, "[+]ping ok\nlivez check passed\n")
    assert await text_of(["readyz"]) == (
        500,
        "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n",
    )
    assert await text_of(["readyz"], ["verbose"], ["etcd"]) == (
        200,
        "[+]ping ok\n[+]etcd excluded: ok\nreadyz check passed\n",
    )
    assert (await text_of(["readyz", "etcd"]))[0] == 500
    assert await text_of(["readyz", "ping"]) == (200, "ok")
    assert await HEALTH.reply(["readyz", "none"], {}, []) is None


@given(st.text())
def test_a_warning_never_breaks_a_header(text):
    headers = CIMultiDict()
    warn(headers, [text])
    value = headers["Warning"]
    assert value.startswith('299 - "')
    assert not set("\r\n\0") & set(value)


def test_a_missing_kind_is_not_found():
    with pytest.raises(NotFound):
        CATALOG.lookup("", "v1", "none")
