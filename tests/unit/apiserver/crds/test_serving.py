"""From a definition to its objects."""

import asyncio
import json

import msgspec
import pytest
from kit.definitions import CRONTAB, crd, custom, version

from pilothouse.services.apiserver.requests import Target, WriteOptions
from pilothouse.services.machinery.errors import (
    BadRequest,
    Conflict,
    Invalid,
    NotFound,
    UnsupportedMediaType,
)
from pilothouse.services.machinery.objects import Key

CRDS = "apiextensions.k8s.io/customresourcedefinitions"
CRONTABS = "stable.example.com/crontabs"
SUBRESOURCES = {
    "status": {},
    "scale": {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.labelSelector",
    },
}


async def until(check):
    async with asyncio.timeout(5):
        while not check():
            await asyncio.sleep(0.005)


async def test_a_definition_is_established_and_its_kind_served(define, client):
    made = await define(names={"shortNames": ["ct"], "categories": ["all"]})
    status = made["status"]
    assert status["acceptedNames"] == {
        "plural": "crontabs", "singular": "crontab", "kind": "CronTab", "listKind": "CronTabList",
        "shortNames": ["ct"], "categories": ["all"],
    }  # fmt: skip
    assert status["storedVersions"] == ["v1"]
    assert [(c["type"], c["status"]) for c in status["conditions"]] == [
        ("NamesAccepted", "True"), ("Established", "True"),
    ]  # fmt: skip
    assert made["spec"]["conversion"] == {"strategy": "None"}
    one = await client.create(CRONTABS, custom(cronSpec="* * * * *"))
    assert one["spec"] == {"cronSpec": "* * * * *", "image": "busybox"}
    assert one["metadata"]["generation"] == 1
    assert await client.get(CRONTABS, "one") == one
    assert await client.names(CRONTABS) == ["one"]


async def test_unknown_fields_go_with_a_warning_or_are_refused(define, client):
    await define()
    body = custom(colour="red", free={"any": 1}) | {"more": 1}
    body["metadata"]["tint"] = "x"
    made = await client.create(CRONTABS, body)
    assert made["spec"] == {"image": "busybox", "free": {"any": 1}}
    assert client.warnings == (
        'unknown field "metadata.tint"', 'unknown field "more"', 'unknown field "spec.colour"',
    )  # fmt: skip
    strict = WriteOptions(field_validation="Strict")
    with pytest.raises(BadRequest, match=r'strict decoding error: unknown field "spec\.colour"'):
        await client.create(CRONTABS, custom("two", colour="red"), options=strict)


async def test_wrong_values_are_named(define, client):
    await define()
    with pytest.raises(Invalid) as caught:
        await client.create(
            CRONTABS,
            custom(cronSpec="no", replicas=11, image=7, ports=[{"port": 1}], tags=["a", "a"]),
        )
    told = {cause.field: cause.message for cause in caught.value.causes}
    assert told == {
        "spec.cronSpec": 'Invalid value: "no": spec.cronSpec in body should match '
        r"'^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$'",
        "spec.replicas": "Invalid value: 11: spec.replicas in body should be less than or equal "
        "to 10",
        "spec.image": 'Invalid value: "integer": spec.image in body must be of type string: '
        '"integer"',
        "spec.ports[0].name": "Required value",
        "spec.tags[1]": 'Duplicate value: "a"',
    }
    assert caught.value.message.startswith('CronTab.stable.example.com "one" is invalid: [')


async def test_status_and_generation_go_apart(define, client):
    await define(versions=[version(subresources=SUBRESOURCES)])
    made = await client.create(CRONTABS, custom(replicas=2) | {"status": {"replicas": 9}})
    assert "status" not in made
    made = await client.patch(CRONTABS, "one", {"spec": {"replicas": 3}, "status": {"replicas": 1}})
    assert made["metadata"]["generation"] == 2
    assert "status" not in made
    made = await client.patch(
        CRONTABS, "one",
        {"metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 4},
         "status": {"replicas": 1, "labelSelector": "a=b"}},
        sub="status",
    )  # fmt: skip
    assert made["spec"]["replicas"] == 3
    assert made["status"] == {"replicas": 1, "labelSelector": "a=b"}
    assert made["metadata"]["generation"] == 2
    assert "labels" not in made["metadata"]
    with pytest.raises(Invalid, match=r"status\.phase: Unsupported value"):
        await client.patch(CRONTABS, "one", {"status": {"phase": "Gone"}}, sub="status")
    scale = await client.get(CRONTABS, "one", sub="scale")
    assert scale["spec"] == {"replicas": 3}
    assert scale["status"] == {"replicas": 1, "selector": "a=b"}
    scale = await client.patch(CRONTABS, "one", {"spec": {"replicas": 5}}, sub="scale")
    assert scale["spec"] == {"replicas": 5}
    assert (await client.get(CRONTABS, "one"))["spec"]["replicas"] == 5


async def test_writes_are_conditional_and_not_strategic(define, client):
    await define()
    made = await client.create(CRONTABS, custom())
    with pytest.raises(Invalid, match=r"metadata\.resourceVersion"):
        await client.update(CRONTABS, "one", custom(image="a"))
    body = custom(image="a")
    body["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
    await client.update(CRONTABS, "one", body)
    with pytest.raises(Conflict):
        await client.update(CRONTABS, "one", body)
    with pytest.raises(UnsupportedMediaType, match="accepted media types include"):
        await client.patch(CRONTABS, "one", {"spec": {}}, "strategic")
    await client.patch(CRONTABS, "one", [{"op": "replace", "path": "/spec/image", "value": "b"}],
                       "json")  # fmt: skip
    assert (await client.get(CRONTABS, "one"))["spec"]["image"] == "b"


async def test_what_was_wrong_before_is_forgiven_where_it_stays(define, client, registry):
    await define()
    await client.create(CRONTABS, custom(replicas=9, tags=["a"]))
    tighter = {**CRONTAB, "properties": {**CRONTAB["properties"]}}
    spec = {**CRONTAB["properties"]["spec"]}
    spec["properties"] = {**spec["properties"], "replicas": {"type": "integer", "maximum": 3}}
    tighter["properties"]["spec"] = spec
    versions = [version(schema=tighter)]
    await client.patch(CRDS, "crontabs.stable.example.com", {"spec": {"versions": versions}})
    made = await client.patch(CRONTABS, "one", {"spec": {"tags": ["b"]}})
    assert made["spec"]["replicas"] == 9
    with pytest.raises(Invalid, match="less than or equal to 3"):
        await client.patch(CRONTABS, "one", {"spec": {"replicas": 8}})


async def test_a_deleted_definition_takes_its_objects_along(define, client, registry):
    made = await define()
    await client.create(CRONTABS, custom())
    held = custom("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await client.create(CRONTABS, held)
    watch = client.watch(CRONTABS)
    await anext(watch)
    await client.delete(CRDS, made["metadata"]["name"])
    found = await client.get(CRDS, made["metadata"]["name"])
    assert found["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    objects = registry.parts.cache.objects
    await until(lambda: len(objects("stable.example.com", "crontabs")) == 1)
    with pytest.raises(Exception, match="create not allowed while custom resource definition is "):
        await client.create(CRONTABS, custom("late"))
    await client.patch(CRONTABS, "held", {"metadata": {"finalizers": None}})

    def gone():
        return registry.parts.cache.find("apiextensions.k8s.io", "customresourcedefinitions",
                                         Key("", made["metadata"]["name"])) is None  # fmt: skip

    await until(gone)
    target = Target("stable.example.com", "v1", "crontabs", "default", "one")
    with pytest.raises(NotFound, match="could not find the requested resource"):
        await registry.get(client.user, target)
    types = []
    async with asyncio.timeout(5):
        async for batch in watch:
            types += [event.type for event in batch]
    assert types.count("DELETED") == 2


async def test_versions_share_what_is_stored(define, client, registry):
    other = {"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "image": {"type": "string"}}}}}  # fmt: skip
    beta = version("v1beta1", storage=False)
    await define(versions=[version(), version("v2", schema=other, storage=False), beta])
    target = Target("stable.example.com", "v1", "crontabs", "default")
    await registry.create(client.user, target, custom(replicas=2), WriteOptions())

    async def read(name):
        target = Target("stable.example.com", name, "crontabs", "default", "one")
        return msgspec.json.decode((await registry.get(client.user, target)).json)

    assert (await read("v1"))["spec"] == {"image": "busybox", "replicas": 2}
    assert (await read("v2"))["spec"] == {"image": "busybox"}
    assert (await read("v1beta1"))["apiVersion"] == "stable.example.com/v1beta1"
    assert (await read("v1beta1"))["spec"]["replicas"] == 2
    assert registry.parts.catalog.groups()["stable.example.com"] == ["v2", "v1", "v1beta1"]


async def test_names_in_use_are_not_accepted_until_they_are_free(define, client, registry):
    await define(names={"shortNames": ["ct"]})
    second = await define(plural="others", kind="Other", names={"shortNames": ["ct"]})
    conditions = {c["type"]: c for c in second["status"]["conditions"]}
    assert conditions["NamesAccepted"]["reason"] == "ShortNamesConflict"
    assert conditions["NamesAccepted"]["message"] == '"ct" is already in use'
    assert conditions["Established"]["status"] == "False"
    await client.delete(CRDS, "crontabs.stable.example.com")
    groups = registry.parts.catalog
    await until(lambda: any(kind.plural == "others" for kind in groups.all()))


async def test_fields_are_selectable(define, client):
    await define(versions=[version(selectableFields=[{"jsonPath": ".spec.image"}])])
    await client.create(CRONTABS, custom("one", image="a"))
    await client.create(CRONTABS, custom("two", image="b"))
    assert await client.names(CRONTABS, field_selector="spec.image=b") == ["two"]
    with pytest.raises(BadRequest, match="field label not supported"):
        await client.names(CRONTABS, field_selector="spec.other=b")


async def test_defaults_and_pruning_reach_what_is_stored(define, client):
    await define()
    await client.create(CRONTABS, custom(free={"a": 1}))
    changed = {"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "image": {"type": "string"}, "mood": {"type": "string", "default": "fine"}}}}}  # fmt: skip
    await client.patch(
        CRDS, "crontabs.stable.example.com", {"spec": {"versions": [version(schema=changed)]}}
    )
    assert (await client.get(CRONTABS, "one"))["spec"] == {"image": "busybox", "mood": "fine"}


async def test_the_storage_version_can_move(define, client):
    await define(versions=[version(), version("v2", storage=False)])
    await client.create(CRONTABS, custom() | {"apiVersion": "stable.example.com/v2"})
    moved = [version(storage=False), version("v2")]
    made = await client.patch(CRDS, "crontabs.stable.example.com", {"spec": {"versions": moved}})
    assert made["status"]["storedVersions"] == ["v1", "v2"]
    assert (await client.get(CRONTABS, "one"))["apiVersion"] == "stable.example.com/v2"
    assert crd()["spec"]["scope"] == "Namespaced"


async def kept(registry):
    """What the store keeps of the one object, and since which revision."""
    [entry], _ = await registry.parts.storage.load(b"/registry/stable.example.com/crontabs/")
    return json.loads(entry.value)["apiVersion"].rpartition("/")[2], entry.mod_revision


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_was_stored_as_before_is_written_anew_by_a_write_that_changes_nothing(
    define, client, registry, restarted
):
    await define(versions=[version(), version("v2", storage=False)])
    await client.create(CRONTABS, custom(image="a") | {"apiVersion": "stable.example.com/v2"})
    for _ in range(2):
        _, before = await kept(registry)
        await client.patch(CRONTABS, "one", {})
        assert await kept(registry) == ("v1", before)
    moved = [version(storage=False), version("v2")]
    await client.patch(CRDS, "crontabs.stable.example.com", {"spec": {"versions": moved}})
    if restarted:
        await registry.parts.cache.load()
    assert await kept(registry) == ("v1", before)
    await client.patch(CRONTABS, "one", {})
    version_, after = await kept(registry)
    assert (version_, after > before) == ("v2", True)
    assert (await client.get(CRONTABS, "one"))["spec"] == {"image": "a"}
    await client.patch(CRONTABS, "one", {})
    assert await kept(registry) == ("v2", after)
