"""OpenAPI of custom kinds: what v3 keeps, what v2 leaves open, and how they follow changes."""

from dataclasses import replace

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator

from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.kinds.kind import Kind, Subresource
from pilothouse.services.apiserver.kinds.schemas import published_schemas
from pilothouse.services.apiserver.rest.openapi.library import SWAGGER, Library, plain

CHANGE = ("get", "patch", "update")
CART = Kind(
    "shop.example.com", "v1", "carts", "cart", "Cart", namespaced=True,
    subresources={
        "status": Subresource("shop.example.com", "v1", "Cart", CHANGE),
        "scale": Subresource("autoscaling", "v1", "Scale", CHANGE),
    },
    definition="com.example.shop.v1.Cart", list_kind="CartList",
)  # fmt: skip
SCHEMA = {
    "type": "object",
    "description": "What somebody buys.",
    "required": ["spec", "note"],
    "properties": {
        "note": {"type": "string", "nullable": True},
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"x-kubernetes-int-or-string": True},
                "open": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": True,
                    "properties": {"a": {"type": "string"}},
                },
                "list": {"type": "array", "items": {"type": "object", "nullable": True}},
                "one": {"type": "string", "oneOf": [{"pattern": "a"}, {"pattern": "b"}]},
                "pod": {"type": "object", "x-kubernetes-embedded-resource": True},
                "count": {"type": "integer", "default": 3, "minimum": 1},
            },
        },
    },
}  # fmt: skip
PATH = "apis/shop.example.com/v1"
ITEM = "/apis/shop.example.com/v1/namespaces/{namespace}/carts/{name}"


class World:
    def __init__(self):
        self.catalog, self.schemas = builtin_catalog(), published_schemas()
        self.library = Library(self.catalog, self.schemas, "v1")

    def serve(self, schema, kind=CART):
        self.schemas.add(kind.definition, schema)
        self.catalog.add(kind)

    async def read(self, path):
        return msgspec.json.decode(plain(await self.library.document(path, "json")))

    async def v3(self, name="Cart"):
        schemas = (await self.read(PATH))["components"]["schemas"]
        return schemas[f"com.example.shop.v1.{name}"]

    async def v2(self, name="Cart"):
        return (await self.read(SWAGGER))["definitions"][f"com.example.shop.v1.{name}"]


@pytest.fixture
def world():
    return World()


async def test_v3_keeps_all_of_a_schema(world):
    world.serve(SCHEMA)
    cart = await world.v3()
    assert cart["description"] == "What somebody buys."
    kind = {"group": "shop.example.com", "version": "v1", "kind": "Cart"}
    assert cart["x-kubernetes-group-version-kind"] == [kind]
    assert set(cart["properties"]) == {"apiVersion", "kind", "metadata", "note", "spec"}
    (metadata,) = cart["properties"]["metadata"]["allOf"]
    assert metadata["$ref"].endswith("meta.v1.ObjectMeta")
    assert cart["required"] == ["spec", "note"]
    assert cart["properties"]["note"]["nullable"] is True
    spec = cart["properties"]["spec"]["properties"]
    assert spec["size"]["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert spec["open"]["properties"] == {"a": {"type": "string"}}
    assert spec["one"]["oneOf"]
    assert spec["count"]["default"] == 3
    assert set(spec["pod"]["properties"]) == {"apiVersion", "kind", "metadata"}
    assert spec["pod"]["required"] == ["kind", "apiVersion"]
    carts = await world.v3("CartList")
    assert carts["required"] == ["items"]
    assert carts["x-kubernetes-group-version-kind"][0]["kind"] == "CartList"


async def test_v2_leaves_open_what_it_can_not_say(world):
    world.serve(SCHEMA)
    cart = await world.v2()
    assert cart["required"] == ["spec"]
    assert "type" not in cart["properties"]["note"]
    spec = cart["properties"]["spec"]["properties"]
    assert "anyOf" not in spec["size"]
    assert spec["open"] == {"x-kubernetes-preserve-unknown-fields": True}
    assert spec["list"] == {"type": "array", "items": {}}
    assert spec["one"] == {"type": "string"}
    assert "default" not in spec["count"]
    assert spec["count"]["minimum"] == 1


async def test_a_kind_that_is_open_at_its_root(world):
    world.serve({
        "type": "object", "x-kubernetes-preserve-unknown-fields": True,
        "properties": {"spec": {"type": "object"}},
    })  # fmt: skip
    assert set(await world.v2()) == {"type", "x-kubernetes-group-version-kind"}
    cart = await world.v3()
    assert cart["x-kubernetes-preserve-unknown-fields"] is True
    assert {"spec", "metadata"} <= set(cart["properties"])


async def test_a_kind_without_schema(world):
    world.serve({"x-kubernetes-preserve-unknown-fields": True})
    assert set(await world.v2()) == {"type", "x-kubernetes-group-version-kind"}
    assert set(await world.v3()) == {"type", "x-kubernetes-group-version-kind"}


async def test_operations_are_upstreams(world):
    world.serve(SCHEMA)
    document = await world.read(PATH)
    names = {
        operation["operationId"]
        for item in document["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    }
    scoped = "ShopExampleComV1NamespacedCart"
    assert names == {
        *(f"{verb}{scoped}" for verb in ("list", "create", "read", "replace", "patch", "delete")),
        "deleteShopExampleComV1CollectionNamespacedCart",
        "listShopExampleComV1CartForAllNamespaces",
        *(f"{verb}{scoped}{sub}" for verb in ("read", "replace", "patch")
          for sub in ("Status", "Scale")),
    }  # fmt: skip
    patch = document["paths"][ITEM]["patch"]
    assert "application/strategic-merge-patch+json" not in patch["requestBody"]["content"]
    scale = document["paths"][f"{ITEM}/scale"]["get"]["responses"]["200"]["content"]
    assert scale["application/json"]["schema"]["$ref"].endswith("autoscaling.v1.Scale")
    assert list(OpenAPIV30SpecValidator(document).iter_errors()) == []


async def test_documents_follow_kinds_and_only_theirs(world):
    before = dict(world.library.tags())
    deployments = await world.library.document("apis/apps/v1", "json")
    world.serve(SCHEMA)
    after = dict(world.library.tags())
    assert set(after) - set(before) == {PATH}
    assert {path for path in before if before[path] != after[path]} == {SWAGGER}
    assert await world.library.document("apis/apps/v1", "json") is deployments
    first = await world.library.document(PATH, "json")
    world.serve({"type": "object", "properties": {"other": {"type": "string"}}})
    assert world.library.tags()[PATH] != after[PATH]
    assert await world.library.document(PATH, "json") != first
    assert "other" in (await world.v3())["properties"]
    world.catalog.remove(CART)
    assert PATH not in world.library.tags()
    assert world.library.tags()[SWAGGER] == before[SWAGGER]


async def test_several_kinds_and_versions_stand_side_by_side(world):
    world.serve(SCHEMA)
    other = replace(
        CART, plural="shops", kind="Shop", list_kind="ShopList",
        definition="com.example.shop.v1.Shop", subresources={},
    )  # fmt: skip
    world.serve({"type": "object"}, other)
    newer = replace(CART, version="v2", definition="com.example.shop.v2.Cart", subresources={})
    world.serve({"type": "object"}, newer)
    assert {"com.example.shop.v1.Cart", "com.example.shop.v1.Shop"} <= set(
        (await world.read(PATH))["components"]["schemas"]
    )
    definitions = (await world.read(SWAGGER))["definitions"]
    assert {"com.example.shop.v1.Cart", "com.example.shop.v1.Shop", "com.example.shop.v2.Cart",
            "com.example.shop.v2.CartList"} <= set(definitions)  # fmt: skip
