"""Create, update, patch and delete: what the server fills in, keeps, and refuses."""

import re

import pytest
from kit.registry import DEFAULT, deployment, pod, read

from pilothouse.services.apiserver.requests import Patch, User, WriteOptions
from pilothouse.services.machinery.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
)

STRICT = WriteOptions(field_validation="Strict")


async def test_a_new_pod_gets_what_the_server_gives(client):
    made = await client.create("pods", pod(), options=DEFAULT)
    assert made["metadata"]["uid"]
    assert made["metadata"]["generation"] == 1
    assert made["metadata"]["namespace"] == "default"
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert made["spec"]["serviceAccountName"] == "default"
    assert made["spec"]["priority"] == 0
    assert [item["tolerationSeconds"] for item in made["spec"]["tolerations"]] == [300, 300]
    volume = made["spec"]["volumes"][0]["name"]
    assert re.fullmatch("kube-api-access-[bcdfghjklmnpqrstvwxz2456789]{5}", volume)
    assert made == await client.get("pods", "web")


async def test_no_token_is_mounted_where_it_is_not_wanted(client):
    made = await client.create("pods", pod(automountServiceAccountToken=False))
    assert "volumes" not in made["spec"]


async def test_a_pod_needs_its_service_account(client):
    with pytest.raises(Forbidden, match='serviceaccount "nobody" not found'):
        await client.create("pods", pod(serviceAccountName="nobody"))


async def test_names_are_generated(client):
    body = pod()
    body["metadata"] = {"generateName": "web-"}
    made = await client.create("pods", body)
    assert re.fullmatch("web-[bcdfghjklmnpqrstvwxz2456789]{5}", made["metadata"]["name"])


async def test_a_name_is_taken_once(client):
    await client.create("pods", pod())
    with pytest.raises(AlreadyExists, match='pods "web" already exists'):
        await client.create("pods", pod())
    with pytest.raises(AlreadyExists, match='namespaces "default" already exists'):
        await client.create("namespaces", {"metadata": {"name": "default"}})


@pytest.mark.parametrize("name", ["..", "a/b", "a%2e", "Web", "a" * 254, "a_b"])
async def test_bad_names_are_refused_and_nothing_is_stored(client, name):
    with pytest.raises(Invalid, match=r"metadata\.name"):
        await client.create("pods", pod(name))
    assert await client.names("pods") == []


async def test_a_namespace_must_be_there_and_not_going(client):
    with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
        await client.create("pods", pod(), namespace="nowhere")
    await client.create("namespaces", {"metadata": {"name": "going"}})
    await client.delete("namespaces", "going")
    with pytest.raises(Forbidden, match="because it is being terminated") as refused:
        await client.create("configmaps", {"metadata": {"name": "x"}}, namespace="going")
    assert refused.value.causes[0].reason == "NamespaceTerminating"


async def test_strict_refuses_unknown_fields_and_warn_tells_of_them(client):
    message = (
        'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: '
        'unknown field "spec.foo"'
    )
    with pytest.raises(BadRequest) as refused:
        await client.create("apps/deployments", deployment(foo=1), options=STRICT)
    assert refused.value.message == message
    made = await client.create("apps/deployments", deployment(foo=1))
    assert "foo" not in made["spec"]
    assert client.warnings == ('unknown field "spec.foo"',)


async def test_wrong_types_and_kinds_are_bad_requests(client):
    with pytest.raises(BadRequest, match="of type int32"):
        await client.create("apps/deployments", deployment(replicas="3"))
    with pytest.raises(BadRequest, match="does not match the expected API version"):
        await client.create("apps/deployments", pod())
    with pytest.raises(BadRequest, match="cannot be handled as a ConfigMap"):
        await client.create("configmaps", pod())
    body = pod()
    body["metadata"]["namespace"] = "other"
    with pytest.raises(BadRequest, match="namespace of the provided object does not match"):
        await client.create("pods", body)


async def test_rules_are_told_all_at_once(client):
    body = deployment(selector={"matchLabels": {"app": "other"}}, replicas=-1)
    with pytest.raises(Invalid) as refused:
        await client.create("apps/deployments", body)
    assert refused.value.message.startswith('Deployment.apps "web" is invalid: [')
    fields = {cause.field for cause in refused.value.causes}
    assert {"spec.replicas", "spec.template.metadata.labels"} <= fields


async def test_missing_fields_are_required_values(client):
    body = pod()
    del body["spec"]["containers"]
    with pytest.raises(Invalid, match=r"spec\.containers: Required value"):
        await client.create("pods", body)
    body = pod()
    del body["spec"]["containers"][0]["name"]
    with pytest.raises(Invalid, match=r"spec\.containers\[0\]\.name: Required value"):
        await client.create("pods", body)


async def test_the_selector_of_a_deployment_stays(client):
    made = await client.create("apps/deployments", deployment())
    made["spec"]["selector"]["matchLabels"]["x"] = "y"
    made["spec"]["template"]["metadata"]["labels"]["x"] = "y"
    with pytest.raises(Invalid, match="field is immutable"):
        await client.update("apps/deployments", "web", made)


async def test_generation_counts_changes_of_the_spec_alone(client):
    await client.create("apps/deployments", deployment())
    labelled = await client.patch("apps/deployments", "web", {"metadata": {"labels": {"a": "b"}}})
    assert labelled["metadata"]["generation"] == 1
    scaled = await client.patch("apps/deployments", "web", {"spec": {"replicas": 3}})
    assert scaled["metadata"]["generation"] == 2
    status = {"status": {"observedGeneration": 2}}
    reported = await client.patch("apps/deployments", "web", status, sub="status")
    assert reported["metadata"]["generation"] == 2
    assert reported["status"] == {"observedGeneration": 2}


async def test_status_and_spec_are_written_through_their_own_doors(client):
    await client.create("apps/deployments", deployment())
    both = {"spec": {"replicas": 7}, "status": {"replicas": 7}}
    main = await client.patch("apps/deployments", "web", both)
    assert (main["spec"]["replicas"], main["status"]) == (7, {})
    both = {"spec": {"replicas": 8}, "status": {"replicas": 8}}
    status = await client.patch("apps/deployments", "web", both, sub="status")
    assert (status["spec"]["replicas"], status["status"]) == (7, {"replicas": 8})


async def test_a_write_from_an_old_revision_conflicts(client):
    made = await client.create("configmaps", {"metadata": {"name": "c"}, "data": {"a": "1"}})
    first = {**made, "data": {"a": "2"}}
    await client.update("configmaps", "c", first)
    with pytest.raises(Conflict, match="the object has been modified"):
        await client.update("configmaps", "c", {**made, "data": {"a": "3"}})
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}
    with pytest.raises(Conflict):
        await client.patch("configmaps", "c", stale)
    del made["metadata"]["resourceVersion"]
    free = await client.update("configmaps", "c", {**made, "data": {"a": "4"}})
    assert free["data"] == {"a": "4"}


async def test_a_write_that_changes_nothing_keeps_the_revision(client):
    made = await client.create("configmaps", {"metadata": {"name": "c"}, "data": {"a": "1"}})
    same = await client.patch("configmaps", "c", {"data": {"a": "1"}})
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_the_servers_metadata_can_not_be_written(client):
    made = await client.create("configmaps", {"metadata": {"name": "c"}})
    patch = {"metadata": {"creationTimestamp": "2000-01-01T00:00:00Z", "generation": 9,
                          "managedFields": [{"manager": "x"}]}}  # fmt: skip
    after = await client.patch("configmaps", "c", patch)
    assert after["metadata"] == made["metadata"]
    with pytest.raises(BadRequest, match="does not match the name on the URL"):
        await client.patch("configmaps", "c", {"metadata": {"name": "d"}})
    with pytest.raises(Conflict, match="UID in precondition"):
        await client.patch("configmaps", "c", {"metadata": {"uid": "another"}})


async def test_a_strict_patch_is_refused_as_invalid(client, registry):
    await client.create("configmaps", {"metadata": {"name": "c"}})
    target = client.target("configmaps", "c")
    with pytest.raises(Invalid, match=r'patch: Invalid value: .*decoding error: unknown field "x"'):
        await registry.patch(client.user, target, Patch("merge", {"x": 1}), STRICT)


async def test_what_an_update_may_create(client):
    lease = {"metadata": {"name": "l", "resourceVersion": "7"}, "spec": {"holderIdentity": "a"}}
    made = await client.update("coordination.k8s.io/leases", "l", lease)
    assert made["spec"] == lease["spec"]
    with pytest.raises(Invalid, match=r'leases.coordination.k8s.io "l" is invalid: metadata.res'):
        await client.update("coordination.k8s.io/leases", "l", {"metadata": {"name": "l"}})
    with pytest.raises(NotFound):
        await client.update("configmaps", "l", {"metadata": {"name": "l"}})


async def test_what_only_the_server_says(client):
    with pytest.raises(BadRequest, match="resourceVersion should not be set"):
        await client.create("configmaps", {"metadata": {"name": "c", "resourceVersion": "1"}})
    await client.create("configmaps", {"metadata": {"name": "c", "resourceVersion": "0"}})
    with pytest.raises(Invalid, match=r"metadata\.deletionTimestamp: .*field is immutable"):
        await client.patch(
            "configmaps", "c", {"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}}
        )
    with pytest.raises(BadRequest, match="was undeterminable: name must be provided"):
        await client.update("configmaps", "c", {"data": {}})


async def test_a_dry_run_stores_nothing(client):
    options = WriteOptions(dry_run=True)
    shown = await client.create("pods", pod(), options=options)
    assert shown["status"]["phase"] == "Pending"
    assert "resourceVersion" not in shown["metadata"]
    assert await client.names("pods") == []


async def test_strategic_and_json_patches(client):
    await client.create("apps/deployments", deployment())
    image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}}}
    patched = await client.patch("apps/deployments", "web", image, "strategic")
    container = patched["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "nginx:2"
    assert container["terminationMessagePolicy"] == "File"
    operations = [{"op": "replace", "path": "/spec/replicas", "value": 4}]
    patched = await client.patch("apps/deployments", "web", operations, "json")
    assert patched["spec"]["replicas"] == 4
    operations = [{"op": "remove", "path": "/spec/nothing"}]
    with pytest.raises(Invalid):
        await client.patch("apps/deployments", "web", operations, "json")


async def test_a_pods_spec_stays_but_its_image(client):
    await client.create("pods", pod())
    image = {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}
    patched = await client.patch("pods", "web", image, "strategic")
    assert patched["spec"]["containers"][0]["image"] == "nginx:2"
    with pytest.raises(Invalid, match="pod updates may not change fields other than"):
        await client.patch("pods", "web", {"spec": {"hostNetwork": True}})


async def test_scale(client):
    await client.create("apps/deployments", deployment())
    shown = await client.get("apps/deployments", "web", sub="scale")
    assert shown["kind"] == "Scale"
    assert shown["status"] == {"replicas": 0, "selector": "app=web"}
    scaled = await client.patch("apps/deployments", "web", {"spec": {"replicas": 5}}, sub="scale")
    assert scaled["spec"]["replicas"] == 5
    scaled["spec"]["replicas"] = 6
    await client.update("apps/deployments", "web", scaled, sub="scale")
    assert (await client.get("apps/deployments", "web"))["spec"]["replicas"] == 6
    with pytest.raises(Invalid, match="greater than or equal to 0"):
        await client.patch("apps/deployments", "web", {"spec": {"replicas": -1}}, sub="scale")


async def test_binding_happens_once(client):
    await client.create("pods", pod())
    body = {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "node-1"}}
    answer = await client.create("pods", body, name="web", sub="binding")
    assert answer["status"] == "Success"
    bound = await client.get("pods", "web")
    assert bound["spec"]["nodeName"] == "node-1"
    assert [item["type"] for item in bound["status"]["conditions"]] == ["PodScheduled"]
    body = {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "node-2"}}
    with pytest.raises(Conflict, match='already assigned to node "node-1"'):
        await client.create("pods", body, name="web", sub="binding")


async def test_a_token_comes_from_the_issuer(client):
    body = {"spec": {"audiences": None, "expirationSeconds": 600}}
    answer = await client.create("serviceaccounts", body, name="default", sub="token")
    assert answer["status"] == {"token": "default"}


async def test_unknown_kinds_verbs_and_subresources(client):
    with pytest.raises(NotFound):
        await client.registry.get(client.user, _target(client, "pods", plural="podz"))
    with pytest.raises(MethodNotAllowed):
        await client.list("bindings")
    with pytest.raises(MethodNotAllowed):
        await client.get("pods", "web", sub="eviction")
    with pytest.raises(NotFound):
        await client.get("configmaps", "web", sub="status")


def _target(client, plural_known, *, plural):
    target = client.target(plural_known)
    return type(target)(target.group, target.version, plural, "default", "x")


async def test_secrets_take_plain_text(client):
    body = {"metadata": {"name": "s"}, "stringData": {"a": "b"}}
    made = await client.create("secrets", body)
    assert (made["type"], made["data"]) == ("Opaque", {"a": "Yg=="})
    assert "stringData" not in made
    changed = await client.patch("secrets", "s", {"stringData": {"a": "c"}})
    assert changed["data"] == {"a": "Yw=="}
    assert (await client.get("secrets", "s"))["data"] == {"a": "Yw=="}


async def test_a_namespace_knows_its_name_and_finalizer(client):
    made = await client.create("namespaces", {"metadata": {"name": "n"}})
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "n"}
    assert made["spec"] == {"finalizers": ["kubernetes"]}
    assert made["status"] == {"phase": "Active"}


async def test_a_kubelet_writes_only_what_is_its_own(client):
    await client.create("nodes", {"metadata": {"name": "node-1"}})
    await client.create("nodes", {"metadata": {"name": "node-2"}})
    client.user = User("system:node:node-1", ("system:nodes", "system:authenticated"))
    await client.patch("nodes", "node-1", {"status": {"phase": "Running"}}, sub="status")
    with pytest.raises(Forbidden):
        await client.patch("nodes", "node-2", {"status": {"phase": "Running"}}, sub="status")
    with pytest.raises(Forbidden, match="can only create mirror pods"):
        await client.create("pods", pod())
    body = pod(nodeName="node-1")
    body["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    made = await client.create("pods", body)
    assert "serviceAccountName" not in made["spec"]
    await client.delete("pods", "web", grace_period_seconds=0)


async def test_a_kubelet_asks_for_certificates_of_its_own_pods_only(client):
    made = await client.create("pods", pod(nodeName="node-1"))
    spec = {
        "signerName": "example.com/a", "podName": "web", "podUID": made["metadata"]["uid"],
        "serviceAccountName": "default", "serviceAccountUID": "s", "nodeName": "node-1",
        "nodeUID": "n", "stubPKCS10Request": "AA==",
    }  # fmt: skip
    client.user = User("system:node:node-1", ("system:nodes", "system:authenticated"))

    async def ask(**changed):
        body = {"metadata": {"generateName": "req-"}, "spec": spec | changed}
        return await client.create("certificates.k8s.io/podcertificaterequests", body)

    for changed, words in (
        ({"nodeName": "node-2"}, "is not the requesting node"),
        ({"podName": "other"}, "not found"),
        ({"podUID": "other"}, "PodUID contains"),
        ({"serviceAccountName": "other"}, "ServiceAccountName contains"),
    ):
        with pytest.raises(Forbidden, match=words):
            await ask(**changed)
    assert (await ask())["spec"]["podName"] == "web"


async def test_priority_comes_from_the_class(client):
    made = await client.create("pods", pod(priorityClassName="system-node-critical"))
    assert made["spec"]["priority"] == 2_000_001_000
    with pytest.raises(Forbidden, match="no PriorityClass with name nothing was found"):
        await client.create("pods", pod("other", priorityClassName="nothing"))


async def test_only_events_go_by_themselves(client, monkeypatch):
    storage = client.registry.parts.storage
    seconds = []
    put = storage.put

    async def told(key, value, *, expect, ttl_seconds=0):
        seconds.append(ttl_seconds)
        return await put(key, value, expect=expect, ttl_seconds=ttl_seconds)

    monkeypatch.setattr(storage, "put", told)
    await client.create("configmaps", {"metadata": {"name": "c"}})
    event = {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "web"}}
    await client.create("events", event)
    await client.patch("events", "e", {"count": 2})
    assert seconds == [0, 3600, 3600]


async def test_endpoints_speak_tcp_unless_they_say_otherwise(client):
    subset = {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}
    made = await client.create("endpoints", {"metadata": {"name": "e"}, "subsets": [subset]})
    assert made["subsets"][0]["ports"] == [{"port": 80, "protocol": "TCP"}]
    with pytest.raises(Invalid, match="must specify `addresses` or `notReadyAddresses`"):
        await client.create("endpoints", {"metadata": {"name": "f"}, "subsets": [{}]})


async def test_autoscalers_of_both_versions_are_the_same_objects(client):
    body = {
        "metadata": {"name": "h"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 3,
                 "targetCPUUtilizationPercentage": 60},
    }  # fmt: skip
    old = client.target("autoscaling/horizontalpodautoscalers", "h")
    first = type(old)(old.group, "v1", old.plural, old.namespace)
    await client.registry.create(client.user, first, body, DEFAULT)
    new = await client.get("autoscaling/horizontalpodautoscalers", "h")
    assert new["apiVersion"] == "autoscaling/v2"
    assert new["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 60
    named = type(old)(old.group, "v1", old.plural, old.namespace, "h")
    back = read(await client.registry.get(client.user, named))
    assert back["spec"]["targetCPUUtilizationPercentage"] == 60
    assert back["apiVersion"] == "autoscaling/v1"


async def test_a_node_comes_with_its_status(client):
    node = {"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "4"}}}
    made = await client.create("nodes", node)
    assert made["status"] == {"capacity": {"cpu": "4"}, "allocatable": {"cpu": "4"}}
