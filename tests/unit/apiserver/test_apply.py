"""Server-side apply and managedFields through the registry."""

import asyncio
import copy
from dataclasses import replace

import pytest
from kit.registry import deployment, pod, read

from pilothouse.services.apiserver.requests import Patch, WriteOptions
from pilothouse.services.machinery.errors import (
    BadRequest,
    Conflict,
    NotFound,
    RequestEntityTooLarge,
)

DEPLOYMENTS = "apps/deployments"
APPLIED = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
SCALE = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}}


class Applier:
    """Writes under a name."""

    def __init__(self, client):
        self.client = client

    async def apply(self, content, manager="kubectl", *, plural=DEPLOYMENTS, sub="", force=False,
                    dry_run=False):  # fmt: skip
        name = content["metadata"]["name"]
        target = self.client.target(plural, name, subresource=sub)
        group, _, version = content["apiVersion"].rpartition("/")
        if group == target.group:
            target = replace(target, version=version)
        options = WriteOptions(field_manager=manager, force=force, dry_run=dry_run)
        patch = Patch("apply", copy.deepcopy(content))
        return await self.client.registry.patch(self.client.user, target, patch, options)

    async def patch(self, plural, name, content, kind="merge", *, manager="p", sub=""):
        target = self.client.target(plural, name, subresource=sub)
        options = WriteOptions(field_manager=manager)
        patch = Patch(kind, content)
        return read((await self.client.registry.patch(
            self.client.user, target, patch, options)).object)  # fmt: skip


@pytest.fixture
def people(client):
    return Applier(client)


def created_by(name):
    return WriteOptions(field_manager=name)


def owners(document):
    """The sets of fields by manager, operation and subresource."""
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): entry["fieldsV1"]
        for entry in document["metadata"].get("managedFields", ())
    }


async def test_a_new_pod_is_its_creators_but_for_what_the_server_adds(client):
    made = await client.create("pods", pod(), options=WriteOptions(agent="kubectl-run"))
    (entry,) = made["metadata"]["managedFields"]
    assert {name: value for name, value in entry.items() if name not in {"time", "fieldsV1"}} == {
        "manager": "kubectl-run",
        "operation": "Update",
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
    }
    assert entry["time"].endswith("Z")
    fields = entry["fieldsV1"]
    assert fields["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    assert set(fields) == {"f:metadata", "f:spec"}
    assert "." not in fields["f:spec"]["f:containers"]
    container = fields["f:spec"]["f:containers"]['k:{"name":"c"}']
    assert {".", "f:name", "f:image", "f:imagePullPolicy"} <= container.keys()
    # Set by admission, which nobody asked.
    assert "f:serviceAccountName" not in fields["f:spec"]
    assert "f:tolerations" not in fields["f:spec"]


async def test_who_says_nothing_is_unknown(client):
    made = await client.create("configmaps", {"metadata": {"name": "c"}, "data": {"a": "b"}})
    assert owners(made) == {("unknown", "Update", ""): {"f:data": {".": {}, "f:a": {}}}}


async def test_fields_move_to_who_changes_them(client, people):
    await client.create(DEPLOYMENTS, deployment(replicas=1), options=created_by("one"))
    changed = await people.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 2}}, manager="two")
    found = owners(changed)
    assert found[("two", "Update", "")] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in found[("one", "Update", "")]["f:spec"]


async def test_a_status_is_owned_through_its_subresource(client, people):
    await client.create(DEPLOYMENTS, deployment(), options=created_by("one"))
    status = {"status": {"observedGeneration": 1, "replicas": 1}}
    changed = await people.patch(DEPLOYMENTS, "web", status, manager="two", sub="status")
    assert owners(changed)[("two", "Update", "status")] == {
        "f:status": {"f:observedGeneration": {}, "f:replicas": {}}
    }


async def test_a_write_that_changes_nothing_leaves_the_revision(client, people):
    made = await client.create("configmaps", {"metadata": {"name": "c"}, "data": {"a": "b"}})
    again = await client.update("configmaps", "c", copy.deepcopy(made))
    patched = await people.patch("configmaps", "c", {"data": {"a": "b"}})
    shuffled = {"data": {"a": "b"}, **{n: made[n] for n in ("metadata", "kind", "apiVersion")}}
    assert await client.update("configmaps", "c", shuffled) == again == patched == made


async def test_apply_creates_and_then_changes(client, people):
    written = await people.apply({**deployment(), "spec": {**deployment()["spec"], "replicas": 2}})
    assert written.created
    made = read(written.object)
    assert list(owners(made)) == [("kubectl", "Apply", "")]
    assert made["spec"]["strategy"]["type"] == "RollingUpdate"
    assert "f:strategy" not in owners(made)[("kubectl", "Apply", "")]["f:spec"]
    written = await people.apply(deployment())
    assert not written.created
    assert read(written.object)["spec"]["replicas"] == 1


async def test_apply_again_keeps_the_revision(client, people):
    first = read((await people.apply(deployment())).object)
    assert read((await people.apply(deployment())).object) == first


async def test_a_conflict_is_told_as_kubernetes_does(client, people):
    await client.create(DEPLOYMENTS, deployment(replicas=1), options=created_by("kubectl-edit"))
    with pytest.raises(Conflict) as refused:
        await people.apply({**APPLIED, "spec": {"replicas": 2}})
    status = refused.value.status()
    assert (status["code"], status["reason"]) == (409, "Conflict")
    assert status["message"] == (
        'Apply failed with 1 conflict: conflict with "kubectl-edit" using apps/v1: .spec.replicas'
    )
    assert status["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-edit" using apps/v1',
            "field": ".spec.replicas",
        }
    ]
    forced = read((await people.apply({**APPLIED, "spec": {"replicas": 2}}, force=True)).object)
    assert forced["spec"]["replicas"] == 2
    assert owners(forced)[("kubectl", "Apply", "")] == {"f:spec": {"f:replicas": {}}}


async def test_a_scale_takes_the_replicas_of_its_workload(client, people):
    await people.apply({**deployment(), "spec": {**deployment()["spec"], "replicas": 2}})
    await people.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 3}}, manager="hand", sub="scale")
    found = owners(await client.get(DEPLOYMENTS, "web"))
    assert found[("hand", "Update", "scale")] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in found[("kubectl", "Apply", "")]["f:spec"]
    with pytest.raises(Conflict, match='"hand" with subresource "scale" using apps/v1'):
        await people.apply({**SCALE, "spec": {"replicas": 4}}, "hpa", sub="scale")
    scaled = await people.apply({**SCALE, "spec": {"replicas": 4}}, "hpa", sub="scale", force=True)
    assert read(scaled.object)["spec"] == {"replicas": 4}
    found = owners(await client.get(DEPLOYMENTS, "web"))
    assert found[("hpa", "Apply", "scale")] == {"f:spec": {"f:replicas": {}}}


async def test_a_status_is_applied(client, people):
    await people.apply(deployment())
    status = {**APPLIED, "status": {"replicas": 2}, "spec": {"replicas": 9}}
    applied = read((await people.apply(status, "st", sub="status")).object)
    assert applied["status"] == {"replicas": 2}
    assert applied["spec"]["replicas"] == 1
    assert owners(applied)[("st", "Apply", "status")] == {"f:status": {"f:replicas": {}}}


async def test_a_subresource_creates_nothing(people):
    with pytest.raises(NotFound):
        await people.apply({**APPLIED, "status": {}}, sub="status")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "Pod"}, "invalid object type: apps/v1, Kind=Pod"),
        ({"apiVersion": "v1"}, "invalid object type: /v1, Kind=Deployment"),
        ({"metadata": {"name": "web", "managedFields": []}}, "metadata.managedFields must be nil"),
        ({"spec": {"what": 1}}, "failed to create typed patch object (default/web; apps/v1, "
         "Kind=Deployment): .spec.what: field not declared in schema"),
        ({"metadata": {"name": "other"}}, "the name of the object (other) does not match the "
         "name on the URL (web)"),
    ],
)  # fmt: skip
async def test_a_configuration_that_does_not_fit(people, client, change, told):
    target = client.target(DEPLOYMENTS, "web")
    patch = Patch("apply", {**APPLIED, **change})
    with pytest.raises(BadRequest) as refused:
        await client.registry.patch(client.user, target, patch, WriteOptions(field_manager="a"))
    assert refused.value.message == told


async def test_preconditions_of_an_applied_object(client, people):
    with pytest.raises(Conflict, match="uid mismatch"):
        await people.apply({**deployment(), "metadata": {"name": "web", "uid": "1"}})
    made = read((await people.apply(deployment())).object)
    for wrong in ({"uid": "1"}, {"resourceVersion": "1"}):
        with pytest.raises(Conflict):
            await people.apply({**deployment(), "metadata": {"name": "web", **wrong}})
    right = {"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]}
    assert read((await people.apply(
        {**deployment(), "metadata": {"name": "web", **right}})).object) == made  # fmt: skip


async def test_a_dry_run_changes_nothing(client, people):
    assert (await people.apply(deployment(), dry_run=True)).created
    with pytest.raises(NotFound):
        await client.get(DEPLOYMENTS, "web")
    made = read((await people.apply(deployment())).object)
    scaled = {**APPLIED, "spec": {"replicas": 5}}
    tried = read((await people.apply(scaled, "other", dry_run=True)).object)
    assert tried["spec"]["replicas"] == 5
    assert await client.get(DEPLOYMENTS, "web") == made


async def test_managers_are_forgotten_when_a_client_says_so(client, people):
    await people.apply(deployment())
    forget = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
    plain = await people.patch(DEPLOYMENTS, "web", forget, "json")
    assert "managedFields" not in plain["metadata"]
    # And nobody is noted until somebody applies.
    plain = await people.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 3}})
    assert "managedFields" not in plain["metadata"]
    applied = read((await people.apply({**APPLIED, "spec": {"minReadySeconds": 5}})).object)
    assert list(owners(applied)) == [
        ("kubectl", "Apply", ""), ("before-first-apply", "Update", ""),
    ]  # fmt: skip
    with pytest.raises(Conflict, match="before-first-apply"):
        await people.apply({**APPLIED, "spec": {"replicas": 4}})


async def test_malformed_managers_are_passed_over(client, people):
    made = read((await people.apply(deployment())).object)
    wrong = copy.deepcopy(made)
    wrong["metadata"]["managedFields"][0]["operation"] = "Take"
    assert await client.update(DEPLOYMENTS, "web", wrong) == made


async def test_kubectl_takes_over_what_it_applied_from_its_side(client, people):
    last = '{"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":1}}'
    body = deployment(replicas=1)
    annotation = "kubectl.kubernetes.io/last-applied-configuration"
    body["metadata"]["annotations"] = {annotation: last}
    await client.create(DEPLOYMENTS, body, options=created_by("kubectl-client-side-apply"))
    applied = read((await people.apply({**APPLIED, "spec": {"replicas": 2}})).object)
    assert applied["spec"]["replicas"] == 2
    text = applied["metadata"]["annotations"][annotation]
    assert '"replicas":2' in text
    with pytest.raises(Conflict):
        await people.apply({**APPLIED, "spec": {"minReadySeconds": 3, "paused": True,
                                                "revisionHistoryLimit": 4}})  # fmt: skip


async def test_other_versions_of_a_kind_share_their_managers(client):
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 3}
    made = await client.create(
        "autoscaling/horizontalpodautoscalers", {"metadata": {"name": "h"}, "spec": spec},
        options=created_by("one"),
    )  # fmt: skip
    target = client.target("autoscaling/horizontalpodautoscalers", "h")
    assert made["metadata"]["managedFields"][0]["apiVersion"] == "autoscaling/v2"
    old = replace(target, version="v1")
    patch = Patch("merge", {"spec": {"targetCPUUtilizationPercentage": 50}})
    written = await client.registry.patch(client.user, old, patch, created_by("two"))
    entries = {
        entry["manager"]: (entry["apiVersion"], entry["fieldsV1"])
        for entry in read(written.object)["metadata"]["managedFields"]
    }
    assert entries["two"] == (
        "autoscaling/v1",
        {"f:spec": {"f:targetCPUUtilizationPercentage": {}}},
    )
    # What v1 says as a percentage were metrics in v2, which the first one had by default.
    assert "f:metrics" not in entries["one"][1]["f:spec"]


def definition(**more):
    """A custom kind in two versions, with a status, a scale and a list by key."""
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "size": {"type": "integer"},
                    "text": {"type": "string"},
                    "parts": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["id"],
                        "items": {
                            "type": "object",
                            "required": ["id"],
                            "properties": {"id": {"type": "string"}, "on": {"type": "boolean"}},
                        },
                    },
                    "plain": {"type": "array", "items": {"type": "string"}},
                    "inner": {"type": "object", "x-kubernetes-embedded-resource": True,
                              "x-kubernetes-preserve-unknown-fields": True},
                },
            },
            "status": {"type": "object", "properties": {"size": {"type": "integer"}}},
        },
    }  # fmt: skip
    version = {
        "served": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
        },
    }
    return {
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing", "singular": "thing"},
            "versions": [
                {**version, "name": "v1", "storage": True},
                {**version, "name": "v2", "storage": False},
            ],
            **more,
        },
    }


@pytest.fixture
async def things(client):
    definitions = "apiextensions.k8s.io/customresourcedefinitions"
    await client.create(definitions, definition())
    for _ in range(100):
        if ("example.com", "v1", "things") in client.registry.parts.catalog._kinds:
            break
        await asyncio.sleep(0.05)
    return "example.com/things"


def thing(version="v1", **spec):
    return {
        "apiVersion": f"example.com/{version}",
        "kind": "Thing",
        "metadata": {"name": "t"},
        "spec": spec,
    }


async def test_custom_objects_are_merged_by_their_schema(people, things):
    one = thing(parts=[{"id": "a", "on": True}], plain=["x"], size=1)
    made = read((await people.apply(one, "one", plural=things)).object)
    assert owners(made)[("one", "Apply", "")]["f:spec"] == {
        "f:size": {},
        "f:plain": {},
        "f:parts": {'k:{"id":"a"}': {".": {}, "f:id": {}, "f:on": {}}},
    }
    other = thing(parts=[{"id": "b"}])
    both = read((await people.apply(other, "two", plural=things)).object)
    assert both["spec"]["parts"] == [{"id": "a", "on": True}, {"id": "b"}]
    with pytest.raises(Conflict):
        await people.apply(thing(plain=["y"]), "two", plural=things)
    with pytest.raises(BadRequest, match=r"\.spec\.what: field not declared in schema"):
        await people.apply(thing(what=1), "two", plural=things)
    inner = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "i"}, "free": [1]}
    done = read((await people.apply(thing(inner=inner), "two", plural=things)).object)
    assert done["spec"]["inner"] == inner
    assert done["spec"]["parts"] == [{"id": "a", "on": True}]


async def test_a_custom_object_through_another_version(client, people, things):
    await people.apply(thing(size=1, text="a"), "one", plural=things)
    changed = read((await people.apply(thing("v2", size=1), "one", plural=things)).object)
    assert changed["spec"] == {"size": 1}
    (entry,) = changed["metadata"]["managedFields"]
    assert entry["apiVersion"] == "example.com/v2"


async def test_status_and_scale_of_a_custom_object(client, people, things):
    await people.apply(thing(size=1), "one", plural=things)
    status = {**thing(size=9), "status": {"size": 1}}
    status["metadata"] = {"name": "t", "labels": {"a": "b"}}
    done = read((await people.apply(status, "two", plural=things, sub="status")).object)
    assert done["spec"] == {"size": 1}
    assert owners(done)[("two", "Apply", "status")] == {"f:status": {"f:size": {}}}
    scale = {**SCALE, "metadata": {"name": "t"}, "spec": {"replicas": 3}}
    await people.apply(scale, "three", plural=things, sub="scale", force=True)
    found = await client.get(things, "t")
    assert found["spec"] == {"size": 3}
    assert owners(found)[("three", "Apply", "scale")] == {"f:spec": {"f:size": {}}}
    assert ("one", "Apply", "") not in owners(found)


async def test_an_apply_names_its_manager(people):
    with pytest.raises(BadRequest, match="fieldManager"):
        await people.apply(deployment(), "")


async def test_what_would_be_too_large_has_no_managers(client, people):
    data = {f"{'k' * 200}-{number}": "v" * 40 for number in range(4000)}
    made = await client.create("configmaps", {"metadata": {"name": "large"}, "data": data})
    assert len(made["data"]) == len(data)
    assert "managedFields" not in made["metadata"]
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data}
    with pytest.raises(RequestEntityTooLarge):
        await people.apply(applied, plural="configmaps")
