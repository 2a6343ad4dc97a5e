"""Limits, quotas, classes and refusals of a namespace, as users meet them."""

from typing import Any

import pytest
from kit.cluster import Cluster
from kit.official import Official
from kit.syllabus import line
from kubernetes.client import ApiException

IMAGE = "registry.invalid/nothing:1"


def pod(name: str, resources: Any = None, **spec: Any) -> dict[str, Any]:
    """A pod that no node can run, which is enough to be counted."""
    container = {"name": "c", "image": IMAGE, "resources": resources or {}}
    return {
        "metadata": {"name": name},
        "spec": {"containers": [container], "nodeSelector": {"no": "where"}, **spec},
    }


def refused(code: int, act: Any, *arguments: Any) -> str:
    with pytest.raises(ApiException) as error:
        act(*arguments)
    assert error.value.status == code
    return str(error.value.body)


def make_quota(cluster: Cluster, client: Official, namespace: str, hard: Any, **spec: Any) -> None:
    body = {"metadata": {"name": "q"}, "spec": {"hard": hard, **spec}}
    client.core.create_namespaced_resource_quota(namespace, body)
    expect_used(cluster, client, namespace, dict.fromkeys(hard, "0"))


def expect_used(cluster: Cluster, client: Official, namespace: str, used: Any) -> None:
    def same() -> bool:
        found = client.core.read_namespaced_resource_quota("q", namespace).status.used or {}
        return all(found.get(name) == amount for name, amount in used.items())

    cluster.eventually(f"{used} in use", same)


@line("scheduling/limit_range.go", "defaults applied")
def test_a_limit_range_fills_and_bounds(cluster: Cluster, client: Official, namespace: str) -> None:
    item = {
        "type": "Container",
        "min": {"cpu": "50m", "memory": "100Mi"},
        "max": {"cpu": "500m", "memory": "500Mi"},
        "default": {"cpu": "300m", "memory": "300Mi"},
        "defaultRequest": {"cpu": "100m", "memory": "200Mi"},
    }
    body = {"metadata": {"name": "l"}, "spec": {"limits": [item]}}
    client.core.create_namespaced_limit_range(namespace, body)
    made = client.core.create_namespaced_pod(namespace, pod("plain"))
    resources = made.spec.containers[0].resources
    assert resources.requests == {"cpu": "100m", "memory": "200Mi"}
    assert resources.limits == {"cpu": "300m", "memory": "300Mi"}
    create = client.core.create_namespaced_pod
    little = pod("little", {"requests": {"cpu": "10m", "memory": "50Mi"}})
    assert "minimum cpu usage per Container is 50m" in refused(403, create, namespace, little)
    much = pod("much", {"limits": {"cpu": "600m", "memory": "600Mi"}})
    assert "maximum cpu usage per Container is 500m" in refused(403, create, namespace, much)
    patch = {"spec": {"limits": [{**item, "min": {"cpu": "9m", "memory": "49Mi"}}]}}
    client.core.patch_namespaced_limit_range("l", namespace, patch)
    create(namespace, little)
    client.core.delete_namespaced_limit_range("l", namespace)
    create(namespace, much)


@line("scheduling/limit_range.go", "list, patch, deletecollection")
def test_limit_ranges_of_all_namespaces(cluster: Cluster, client: Official, namespace: str) -> None:
    item = {"type": "Container", "default": {"cpu": "1"}}
    for name in ("a", "b"):
        body = {
            "metadata": {"name": name, "labels": {"of": namespace}},
            "spec": {"limits": [item]},
        }
        client.core.create_namespaced_limit_range(namespace, body)
    chosen = {"label_selector": f"of={namespace}"}
    assert len(client.core.list_limit_range_for_all_namespaces(**chosen).items) == 2
    patch = {"metadata": {"labels": {"a": "patched"}}}
    assert client.core.patch_namespaced_limit_range("a", namespace, patch)
    client.core.delete_collection_namespaced_limit_range(namespace, **chosen)
    left = client.core.list_namespaced_limit_range
    cluster.eventually("none is left", lambda: not left(namespace, **chosen).items)


@line("apimachinery/resource_quota.go", "quota status promptly calculated")
def test_a_quota_is_reckoned_soon(cluster: Cluster, client: Official, namespace: str) -> None:
    hard = {"pods": "5", "services": "10", "requests.cpu": "1", "count/replicasets.apps": "5"}
    make_quota(cluster, client, namespace, hard)
    assert client.core.read_namespaced_resource_quota("q", namespace).status.hard == hard


@line("apimachinery/resource_quota.go", "quota: pod life")
def test_pods_are_counted(cluster: Cluster, client: Official, namespace: str) -> None:
    hard = {
        "pods": "5",
        "cpu": "1",
        "memory": "500Mi",
        "ephemeral-storage": "50Gi",
        "requests.example.com/dongle": "3",
    }
    make_quota(cluster, client, namespace, hard)
    asked = {"cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi"}
    extended = {"example.com/dongle": "2"}
    resources = {"requests": {**asked, **extended}, "limits": extended}
    client.core.create_namespaced_pod(namespace, pod("first", resources))
    expect_used(
        cluster, client, namespace,
        {"pods": "1", **asked, "requests.example.com/dongle": "2"},
    )  # fmt: skip
    create = client.core.create_namespaced_pod
    body = refused(403, create, namespace, pod("second", {"requests": {**asked, "cpu": "600m"}}))
    assert "exceeded quota: q" in body
    assert "requested: cpu=600m" in body
    bare = {"requests": {"cpu": "500m", "memory": "100Mi", "ephemeral-storage": "10Gi",
                         **extended}, "limits": extended}  # fmt: skip
    more = refused(403, create, namespace, pod("third", bare))
    assert "requests.example.com/dongle=2" in more
    patch = {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "100m"}}}]}}
    change = client.core.patch_namespaced_pod
    assert "pod updates may not change" in refused(422, change, "first", namespace, patch)
    client.core.delete_namespaced_pod("first", namespace, grace_period_seconds=0)
    expect_used(cluster, client, namespace, {"pods": "0", "cpu": "0", "memory": "0"})


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        pytest.param("configmap", "count/configmaps",
                     marks=line("apimachinery/resource_quota.go", "quota: configMap life")),
        pytest.param("secret", "secrets",
                     marks=line("apimachinery/resource_quota.go", "quota: secret life")),
        pytest.param("replicaset", "count/replicasets.apps",
                     marks=line("apimachinery/resource_quota.go", "quota: replicaset life")),
        pytest.param("rc", "replicationcontrollers",
                     marks=line("apimachinery/resource_quota.go", "quota: rc life")),
    ],
)  # fmt: skip
def test_objects_are_counted(
    cluster: Cluster, client: Official, namespace: str, name: str, resource: str
) -> None:
    labels = {"app": "n"}
    template = {"metadata": {"labels": labels}, "spec": pod("x")["spec"]}
    made = {
        "configmap": ("v1", "ConfigMap", {}),
        "secret": ("v1", "Secret", {}),
        "replicaset": ("apps/v1", "ReplicaSet", {"spec": {
            "replicas": 0, "selector": {"matchLabels": labels}, "template": template}}),
        "rc": ("v1", "ReplicationController", {"spec": {
            "replicas": 0, "selector": labels, "template": template}}),
    }[name]  # fmt: skip
    count = len(cluster.kubectl("get", name, "-n", namespace, "-o", "name").split())
    body = {"metadata": {"name": "q"}, "spec": {"hard": {resource: str(count + 1)}}}
    client.core.create_namespaced_resource_quota(namespace, body)
    expect_used(cluster, client, namespace, {resource: str(count)})
    version, kind, fields = made
    api = client.dynamic.resources.get(api_version=version, kind=kind)
    create = api.create
    create(body={"metadata": {"name": "one"}, **fields}, namespace=namespace)
    expect_used(cluster, client, namespace, {resource: str(count + 1)})
    over = cluster.try_kubectl(
        "create", "configmap", "two", "-n", namespace
    ) if name == "configmap" else None  # fmt: skip
    assert over is None or "exceeded quota: q" in over.stderr
    api.delete(name="one", namespace=namespace)
    expect_used(cluster, client, namespace, {resource: str(count)})


@line("apimachinery/resource_quota.go", "quota: service life")
def test_services_are_counted(cluster: Cluster, client: Official, namespace: str) -> None:
    hard = {"services": "3", "services.nodeports": "1", "services.loadbalancers": "1"}
    make_quota(cluster, client, namespace, hard)

    def service(name: str, kind: str) -> dict[str, Any]:
        return {"metadata": {"name": name}, "spec": {"type": kind, "ports": [{"port": 80}]}}

    create = client.core.create_namespaced_service
    create(namespace, service("a", "ClusterIP"))
    create(namespace, service("b", "NodePort"))
    expect_used(cluster, client, namespace, {"services": "2", "services.nodeports": "1"})
    body = refused(403, create, namespace, service("c", "NodePort"))
    assert "services.nodeports=1" in body
    for name in ("a", "b"):
        client.core.delete_namespaced_service(name, namespace)
    expect_used(cluster, client, namespace, {"services": "0", "services.nodeports": "0"})


@line("apimachinery/resource_quota.go", "update and delete ResourceQuota")
def test_a_quota_changes_its_mind(cluster: Cluster, client: Official, namespace: str) -> None:
    make_quota(cluster, client, namespace, {"pods": "1"})
    client.core.patch_namespaced_resource_quota(
        "q", namespace, {"spec": {"hard": {"pods": "2", "configmaps": "9"}}}
    )
    read = client.core.read_namespaced_resource_quota
    cluster.eventually(
        "the new bounds", lambda: read("q", namespace).status.hard.get("pods") == "2"
    )
    client.core.delete_namespaced_resource_quota("q", namespace)
    assert "NotFound" in refused(404, read, "q", namespace)


@line("apimachinery/resource_quota.go", "ResourceQuota status")
def test_the_status_of_a_quota_is_a_part_of_its_own(
    cluster: Cluster, client: Official, namespace: str
) -> None:
    make_quota(cluster, client, namespace, {"cpu": "500m", "memory": "500Mi"})
    patch = {"spec": {"hard": {"cpu": "9"}}, "status": {"hard": {"cpu": "1"}}}
    made = client.core.patch_namespaced_resource_quota_status("q", namespace, patch)
    assert made.spec.hard["cpu"] == "500m"
    assert made.status.hard["cpu"] == "1"


@line("common/node/runtimeclass.go", "non-existent RuntimeClass")
def test_a_runtime_class_that_is_not_there(client: Official, namespace: str) -> None:
    body = refused(
        403, client.core.create_namespaced_pod, namespace, pod("p", runtimeClassName="none-such")
    )
    assert "pod rejected: RuntimeClass" in body


@line("common/node/sysctl.go", "reject invalid sysctls")
def test_sysctls_with_impossible_names(client: Official, namespace: str) -> None:
    names = ("foo-", "kernel.shmmax", "safe-and-unsafe", "bar..", "kernel.msgmax", "64test-")
    sysctls = [{"name": name, "value": "1"} for name in names]
    body = refused(
        422, client.core.create_namespaced_pod, namespace,
        pod("p", securityContext={"sysctls": sysctls}),
    )  # fmt: skip
    for name in ("foo-", "bar.."):
        assert f'Invalid value: \\"{name}\\"' in body
    for name in ("kernel.shmmax", "safe-and-unsafe", "kernel.msgmax"):
        assert f'Invalid value: \\"{name}\\"' not in body


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("config_map", marks=line("common/node/configmap.go", "empty key refused")),
        pytest.param("secret", marks=line("common/node/secrets.go", "empty key refused")),
    ],
)
def test_a_key_is_not_empty(client: Official, namespace: str, kind: str) -> None:
    create = getattr(client.core, f"create_namespaced_{kind}")
    body = {"metadata": {"name": "n"}, "data": {"": "dmFsdWU="}}
    assert "a valid config key must consist of" in refused(422, create, namespace, body)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("config_map",
                     marks=line("common/storage/configmap_volume.go", "immutable")),
        pytest.param("secret", marks=line("common/storage/secrets_volume.go", "immutable")),
    ],
)  # fmt: skip
def test_what_is_immutable_stays(client: Official, namespace: str, kind: str) -> None:
    one, two = "b25l", "dHdv"
    body = {"metadata": {"name": "n"}, "data": {"key": one}}
    getattr(client.core, f"create_namespaced_{kind}")(namespace, body)
    patch = getattr(client.core, f"patch_namespaced_{kind}")
    patch("n", namespace, {"data": {"key": two}})
    patch("n", namespace, {"immutable": True})
    told = "field is immutable when `immutable` is set"
    assert told in refused(422, patch, "n", namespace, {"immutable": False})
    assert told in refused(422, patch, "n", namespace, {"data": {"key": one}})
    patch("n", namespace, {"metadata": {"labels": {"label": "changed"}}})
    getattr(client.core, f"delete_namespaced_{kind}")("n", namespace)


@line("scheduling/preemption.go", "PriorityClass endpoints")
def test_the_value_of_a_priority_class_stays(client: Official, namespace: str) -> None:
    api = client.dynamic.resources.get(api_version="scheduling.k8s.io/v1", kind="PriorityClass")
    body = {"metadata": {"name": namespace}, "value": 1}
    api.create(body=body)
    told = {"description": "updated"}
    merge = "application/merge-patch+json"
    assert api.patch(name=namespace, body=told, content_type=merge).description == "updated"
    with pytest.raises(ApiException) as error:
        api.patch(name=namespace, body={"value": 2}, content_type=merge)
    assert error.value.status == 422
    assert "may not be changed in an update." in str(error.value.body)
    api.delete(name=namespace)


@pytest.mark.parametrize(
    ("scopes", "inside", "outside"),
    [
        pytest.param(
            "BestEffort", {}, {"resources": {"requests": {"cpu": "100m"}}},
            marks=line("apimachinery/resource_quota.go", "BestEffort/NotBestEffort scope"),
        ),
        pytest.param(
            "NotBestEffort", {"resources": {"requests": {"cpu": "100m"}}}, {},
            marks=line("apimachinery/resource_quota.go", "BestEffort/NotBestEffort scope"),
        ),
        pytest.param(
            "Terminating", {"activeDeadlineSeconds": 3600}, {},
            marks=line("apimachinery/resource_quota.go", "Terminating/NotTerminating scope"),
        ),
        pytest.param(
            "NotTerminating", {}, {"activeDeadlineSeconds": 3600},
            marks=line("apimachinery/resource_quota.go", "Terminating/NotTerminating scope"),
        ),
    ],
)  # fmt: skip
def test_a_quota_counts_only_its_scope(
    cluster: Cluster,
    client: Official,
    namespace: str,
    scopes: str,
    inside: dict[str, Any],
    outside: dict[str, Any],
) -> None:
    make_quota(cluster, client, namespace, {"pods": "5"}, scopes=[scopes])
    create = client.core.create_namespaced_pod
    delete = client.core.delete_namespaced_pod
    create(namespace, pod("in", **inside))
    expect_used(cluster, client, namespace, {"pods": "1"})
    create(namespace, pod("out", **outside))
    delete("in", namespace, grace_period_seconds=0)
    expect_used(cluster, client, namespace, {"pods": "0"})


@line("apimachinery/resource_quota.go", "manage the lifecycle")
def test_the_life_of_a_quota(cluster: Cluster, client: Official, namespace: str) -> None:
    labels = {"of": namespace}
    body = {"metadata": {"name": "q", "labels": labels}, "spec": {"hard": {"cpu": "1"}}}
    client.core.create_namespaced_resource_quota(namespace, body)
    expect_used(cluster, client, namespace, {"cpu": "0"})
    patch = {"metadata": {"labels": {"patched": "yes"}}, "spec": {"hard": {"memory": "750Mi"}}}
    made = client.core.patch_namespaced_resource_quota("q", namespace, patch)
    assert made.metadata.labels == {**labels, "patched": "yes"}
    assert made.spec.hard == {"cpu": "1", "memory": "750Mi"}
    everywhere = client.core.list_resource_quota_for_all_namespaces
    assert len(everywhere(label_selector=f"of={namespace}").items) == 1
    chosen = {"label_selector": f"of={namespace}"}
    client.core.delete_collection_namespaced_resource_quota(namespace, **chosen)
    left = client.core.list_namespaced_resource_quota
    cluster.eventually("no quota is left", lambda: not left(namespace).items)
