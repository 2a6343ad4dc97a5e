"""OpenAPI of built-in kinds: every operation by its name, valid documents, both encodings."""

import re
from pathlib import Path

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV30SpecValidator

from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.kinds.schemas import published_schemas
from pilothouse.services.apiserver.rest.openapi.definitions import referenced
from pilothouse.services.apiserver.rest.openapi.library import SWAGGER, Library, plain

OPERATIONS = Path(__file__).with_name("operations.txt").read_text().split()
CATALOG, SCHEMAS = builtin_catalog(), published_schemas()
META = "io.k8s.apimachinery.pkg.apis.meta.v1"
DEPLOYMENTS = "/apis/apps/v1/namespaces/{namespace}/deployments"


@pytest.fixture
def library():
    return Library(CATALOG, SCHEMAS, "v1")


async def read(library, path):
    return msgspec.json.decode(plain(await library.document(path, "json")))


async def documents(library):
    return {path: await read(library, path) for path in library.tags() if path != SWAGGER}


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield path, method, operation


async def test_every_operation_of_the_syllabus_has_its_name(library):
    names = [
        operation["operationId"]
        for document in (await documents(library)).values()
        for _, _, operation in operations(document)
    ]
    assert len(names) == len(set(names))
    assert set(OPERATIONS) <= set(names)
    swagger = [each["operationId"] for _, _, each in operations(await read(library, SWAGGER))]
    assert sorted(swagger) == sorted(names)


async def test_every_reference_leads_somewhere(library):
    for path, document in (await documents(library)).items():
        known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
        assert set(referenced(document)) <= known, path
    swagger = await read(library, SWAGGER)
    known = {f"#/definitions/{name}" for name in swagger["definitions"]}
    known |= {f"#/parameters/{name}" for name in swagger["parameters"]}
    assert set(referenced(swagger)) <= known


@pytest.mark.parametrize("path", ["api/v1", "apis", "apis/apps", "apis/apiextensions.k8s.io/v1"])
async def test_documents_are_valid(library, path):
    assert list(OpenAPIV30SpecValidator(await read(library, path)).iter_errors()) == []


async def test_the_document_of_v2_is_valid(library):
    swagger = await read(library, SWAGGER)
    # The validator walks every reference: the paths of one group do.
    paths = {
        path: item for path, item in swagger["paths"].items() if path.startswith("/apis/batch")
    }
    assert list(OpenAPIV2SpecValidator({**swagger, "paths": paths}).iter_errors()) == []


async def test_kubectl_finds_what_it_looks_for(library):
    document = await read(library, "apis/apps/v1")
    patch = document["paths"][f"{DEPLOYMENTS}/{{name}}"]["patch"]
    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert patch["x-kubernetes-group-version-kind"] == kind
    assert patch["x-kubernetes-action"] == "patch"
    assert "fieldValidation" in {each["name"] for each in patch["parameters"]}
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]
    schema = document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"]
    assert schema["type"] == "object"
    assert kind in schema["x-kubernetes-group-version-kind"]
    assert "enum" not in schema["properties"]["kind"]
    spec = schema["properties"]["spec"]
    assert spec["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"}]
    pods = (await read(library, "api/v1"))["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]
    assert pods["properties"]["containers"]["x-kubernetes-patch-merge-key"] == "name"


async def test_answers_are_of_the_kinds_that_are_given(library):
    core = await read(library, "api/v1")

    def answer(path, method, code="200"):
        content = core["paths"][f"/api/v1/namespaces/{{namespace}}/{path}"][method]["responses"]
        schema = content[code]["content"]
        schema = schema.get("application/json", schema.get("*/*"))["schema"]
        return schema.get("$ref", schema.get("type")).rpartition("/")[2]

    assert answer("pods/{name}", "delete") == "io.k8s.api.core.v1.Pod"
    assert answer("configmaps/{name}", "delete") == f"{META}.Status"
    assert answer("pods", "delete") == f"{META}.Status"
    assert answer("pods/{name}/eviction", "post", "201") == "io.k8s.api.policy.v1.Eviction"
    assert answer("replicationcontrollers/{name}/scale", "get") == "io.k8s.api.autoscaling.v1.Scale"
    assert answer("pods/{name}/log", "get") == "string"
    assert answer("pods/{name}/exec", "post") == "string"


async def test_types_are_single_words(library):
    def types(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "type" and isinstance(inner, list):
                    yield inner
                yield from types(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from types(inner)

    for path, document in (await documents(library)).items():
        assert list(types(document["components"])) == [], path


async def test_paths_take_the_parameters_that_they_name(library):
    for path, item in (await read(library, "api/v1"))["paths"].items():
        named = {each["name"] for each in item.get("parameters", ()) if each["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))


def fields(buffer):
    """The numbers of a message's fields with their contents, as any protobuf library reads them."""
    at, found = 0, []

    def number():
        nonlocal at
        value = shift = 0
        while True:
            octet = buffer[at]
            at += 1
            value |= (octet & 127) << shift
            if octet < 128:
                return value
            shift += 7

    while at < len(buffer):
        head = number()
        if head & 7 == 2:
            size = number()
            found.append((head >> 3, buffer[at : at + size]))
            at += size
        elif head & 7 == 1:
            found.append((head >> 3, buffer[at : at + 8]))
            at += 8
        else:
            found.append((head >> 3, number()))
    return found


def only(buffer, number):
    return [content for each, content in fields(buffer) if each == number]


async def test_protobuf_holds_every_path_and_schema(library):
    document = await read(library, "apis/apps/v1")
    packed = plain(await library.document("apis/apps/v1", "protobuf"))
    (paths,), (components,) = only(packed, 4), only(packed, 5)
    names = [only(path, 1)[0].decode() for path in only(paths, 1)]
    assert names == list(document["paths"])
    schemas = only(only(components, 1)[0], 1)
    assert [only(each, 1)[0].decode() for each in schemas] == list(
        document["components"]["schemas"]
    )
    swagger = await read(library, SWAGGER)
    packed = plain(await library.document(SWAGGER, "protobuf"))
    (paths,), (definitions,) = only(packed, 8), only(packed, 9)
    assert [only(each, 1)[0].decode() for each in only(paths, 2)] == list(swagger["paths"])
    assert len(only(definitions, 1)) == len(swagger["definitions"])


async def test_documents_are_kept_while_nothing_changes(library):
    first = await library.document("apis/apps/v1", "json")
    assert await library.document("apis/apps/v1", "json") is first
    assert (await library.document("apis/apps/v1", "protobuf")).tag == first.tag


def test_what_is_not_served_has_no_document(library):
    assert not {"apis/none/v1", "api/v2", "apis/apps/v2"} & set(library.tags())
