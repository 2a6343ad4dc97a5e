"""Pods, as far as the API alone makes them: writes, generations, statuses, classes."""

import json
from typing import Any

import pytest
from kit.cluster import Cluster
from kit.lifecycle import eventually, watched
from kit.manifests import sleeper
from kit.official import Official
from kit.syllabus import line
from kubernetes.client.exceptions import ApiException

PODS = "common/node/pods.go"
GENERATIONS = "node/pods.go"
UPDATES = 500


def run(cluster: Cluster, client: Official, namespace: str, name: str = "p", **spec: Any) -> Any:
    client.core.create_namespaced_pod(namespace, sleeper(name, **spec))
    cluster.kubectl(
        "-n", namespace, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s"
    )
    return client.core.read_namespaced_pod(name, namespace)


@line(PODS, "submit and remove")
def test_a_watch_sees_it_come_and_go(cluster: Cluster, client: Official, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    since = client.raw("GET", path).json["metadata"]["resourceVersion"]
    run(cluster, client, namespace)
    client.core.delete_namespaced_pod("p", namespace, grace_period_seconds=1)
    kinds = []
    deleting = False
    for event in watched(client, f"{path}?labelSelector=app%3Dp&resourceVersion={since}"):
        kinds.append(event["type"])
        deleting = deleting or "deletionTimestamp" in event["object"]["metadata"]
        if event["type"] == "DELETED":
            break
    assert kinds[0] == "ADDED"
    assert "MODIFIED" in kinds
    assert deleting


@line("common/node/containers.go", "image defaults")
def test_an_image_says_what_runs_in_it(cluster: Cluster, client: Official, namespace: str) -> None:
    container = {"name": "c", "image": "nginx"}
    body = {"metadata": {"name": "own"}, "spec": {"containers": [container]}}
    client.core.create_namespaced_pod(namespace, body)
    kubectl = ("-n", namespace)
    cluster.kubectl(*kubectl, "wait", "--for=condition=Ready", "pod/own", "--timeout=60s")
    said = cluster.kubectl(*kubectl, "exec", "own", "--", "cat", "/proc/1/cmdline")
    assert said.split("\0")[:2] == ["/bin/sh", "/entrypoint"]


@line(PODS, "update")
def test_its_labels_are_updated(cluster: Cluster, client: Official, namespace: str) -> None:
    run(cluster, client, namespace)
    client.core.patch_namespaced_pod("p", namespace, {"metadata": {"labels": {"time": "now"}}})
    found = client.core.list_namespaced_pod(namespace, label_selector="time=now").items
    assert [pod.metadata.name for pod in found] == ["p"]


@line(PODS, "activeDeadlineSeconds update")
def test_a_deadline_that_comes_later_ends_it(
    cluster: Cluster, client: Official, namespace: str
) -> None:
    run(cluster, client, namespace)
    client.core.patch_namespaced_pod("p", namespace, {"spec": {"activeDeadlineSeconds": 1}})
    cluster.eventually(
        "it has failed",
        lambda: client.core.read_namespaced_pod("p", namespace).status.phase == "Failed",
    )
    assert client.core.read_namespaced_pod("p", namespace).status.reason == "DeadlineExceeded"


@line(PODS, "deletecollection")
def test_a_collection_is_deleted(client: Official, namespace: str) -> None:
    for number in range(3):
        pod = sleeper(f"p{number}")
        pod["metadata"]["labels"] = {"type": "collection"}
        client.core.create_namespaced_pod(namespace, pod)
    client.core.delete_collection_namespaced_pod(
        namespace, label_selector="type=collection", grace_period_seconds=0
    )
    eventually("all are gone", lambda: not client.core.list_namespaced_pod(namespace).items)


@line(PODS, "host IP")
def test_it_tells_its_nodes_address(cluster: Cluster, client: Official, namespace: str) -> None:
    pod = run(cluster, client, namespace)
    node = client.core.read_node(pod.spec.node_name)
    addresses = {one.address for one in node.status.addresses if one.type == "InternalIP"}
    assert pod.status.host_ip in addresses
    assert {one.ip for one in pod.status.host_ips} <= addresses


@line(PODS, "patch status")
def test_its_status_is_patched(client: Official, namespace: str) -> None:
    client.core.create_namespaced_pod(namespace, sleeper("p", nodeSelector={"no": "such"}))
    patched = client.core.patch_namespaced_pod_status(
        "p", namespace, {"status": {"message": "Patched by a test", "reason": "Walk"}}
    )
    assert patched.status.message == "Patched by a test"
    assert patched.status.reason == "Walk"
    assert client.core.read_namespaced_pod_status("p", namespace).status.reason == "Walk"


@line(PODS, "lifecycle of Pod and PodStatus")
def test_pod_and_status_live(cluster: Cluster, client: Official, namespace: str) -> None:
    pod = run(cluster, client, namespace)
    patch = {"metadata": {"labels": {"patched": "yes"}},
             "spec": {"containers": [{"name": "c", "image": "busybox:latest"}]}}  # fmt: skip
    patched = client.core.patch_namespaced_pod("p", namespace, patch)
    assert patched.metadata.labels["patched"] == "yes"
    assert patched.spec.containers[0].image == "busybox:latest"
    path = f"/api/v1/namespaces/{namespace}/pods/p/status"

    def replaced() -> bool:
        status = client.raw("GET", path).json
        for condition in status["status"]["conditions"]:
            if condition["type"] == "Ready":
                condition["status"] = "False"
        return client.raw("PUT", path, status).code == 200

    eventually("the status is replaced", replaced)
    client.core.delete_collection_namespaced_pod(namespace, label_selector="patched=yes")
    eventually("it is gone", lambda: not client.core.list_namespaced_pod(namespace).items)
    assert pod.metadata.uid


@line(GENERATIONS, "QOS class")
def test_limits_alike_requests_are_guaranteed(client: Official, namespace: str) -> None:
    pod = sleeper("p", nodeSelector={"no": "such"})
    resources = {"cpu": "100m", "memory": "100Mi"}
    pod["spec"]["containers"][0]["resources"] = {"requests": resources, "limits": resources}
    assert client.core.create_namespaced_pod(namespace, pod).status.qos_class == "Guaranteed"


@line(GENERATIONS, "generation per update")
def test_only_what_is_wanted_counts_a_generation(
    cluster: Cluster, client: Official, namespace: str
) -> None:
    pod = run(cluster, client, namespace, tolerations=[])
    assert pod.metadata.generation == 1
    eventually("it is observed", lambda: observed(client, namespace) == 1)
    client.core.patch_namespaced_pod("p", namespace, {"metadata": {"labels": {"a": "b"}}})
    assert client.core.read_namespaced_pod("p", namespace).metadata.generation == 1
    changed = client.core.patch_namespaced_pod(
        "p", namespace, {"spec": {"activeDeadlineSeconds": 3600}}
    )
    assert changed.metadata.generation == 2
    eventually("it is observed", lambda: observed(client, namespace) == 2)


def observed(client: Official, namespace: str) -> int | None:
    status = client.raw("GET", f"/api/v1/namespaces/{namespace}/pods/p").json["status"]
    return status.get("observedGeneration")


@line(GENERATIONS, "500 podspec updates")
def test_many_generations_converge(cluster: Cluster, client: Official, namespace: str) -> None:
    run(cluster, client, namespace)
    path = f"/api/v1/namespaces/{namespace}/pods/p"
    merge = {"Content-Type": "application/merge-patch+json"}
    for number in range(1, UPDATES):
        body = json.dumps({"spec": {"activeDeadlineSeconds": 20_000 - number}})
        assert client.raw("PATCH", path, body, headers=merge).code == 200
    assert client.raw("GET", path).json["metadata"]["generation"] == UPDATES
    eventually("the last is observed", lambda: observed(client, namespace) == UPDATES)


@line(GENERATIONS, "generation on graceful delete")
def test_a_deletion_counts_a_generation(cluster: Cluster, client: Official, namespace: str) -> None:
    run(cluster, client, namespace)
    finalizer = {"metadata": {"finalizers": ["example.com/held"]}}
    client.core.patch_namespaced_pod("p", namespace, finalizer)
    client.core.delete_namespaced_pod("p", namespace, grace_period_seconds=1)
    assert client.core.read_namespaced_pod("p", namespace).metadata.generation == 2
    client.core.patch_namespaced_pod("p", namespace, {"metadata": {"finalizers": None}})


@line("common/node/configmap.go", "empty key refused")
@line("common/node/secrets.go", "empty key refused")
@pytest.mark.parametrize("kind", ["configmaps", "secrets"])
def test_an_empty_key_is_refused(client: Official, namespace: str, kind: str) -> None:
    body = {"metadata": {"name": "empty"}, "data": {"": "dmFsdWU="}}
    refused = client.raw("POST", f"/api/v1/namespaces/{namespace}/{kind}", body)
    assert refused.code == 422, refused.body
    assert refused.json["details"]["causes"][0]["field"] == "data[]"


@line("common/node/sysctl.go", "reject invalid sysctls")
def test_names_of_sysctls_are_checked(client: Official, namespace: str) -> None:
    bad = ["foo-", "kernel.shmmax", "safe-and-unsafe", "bar.."]
    sysctls = [{"name": name, "value": "1"} for name in bad]
    with pytest.raises(ApiException) as refused:
        client.core.create_namespaced_pod(
            namespace, sleeper("p", securityContext={"sysctls": sysctls})
        )
    assert refused.value.status == 422
    fields = {cause["field"] for cause in json.loads(refused.value.body)["details"]["causes"]}
    assert "spec.securityContext.sysctls[0].name" in fields
    assert "spec.securityContext.sysctls[3].name" in fields
    assert "spec.securityContext.sysctls[1].name" not in fields


@line("storage/csi_inline.go", "Pod with CSIVolumeSource")
def test_an_inline_csi_volume_is_kept(client: Official, namespace: str) -> None:
    volume = {"name": "v", "csi": {"driver": "csi.example.com", "volumeAttributes": {"a": "b"}}}
    pod = sleeper("p", nodeSelector={"no": "such"}, volumes=[volume])
    client.core.create_namespaced_pod(namespace, pod)
    found = client.core.read_namespaced_pod("p", namespace)
    assert found.spec.volumes[0].csi.driver == "csi.example.com"


@line("node/node_lifecycle.go", "Node lifecycle")
def test_a_node_that_is_only_said_to_be(client: Official) -> None:
    name = "conformance-fake-node"
    made = client.core.create_node({"metadata": {"name": name, "labels": {"fake": "yes"}}})
    try:
        assert made.metadata.name == name
        patched = client.core.patch_node(name, {"metadata": {"labels": {"patched": "yes"}}})
        assert patched.metadata.labels["patched"] == "yes"
        found = client.core.list_node(label_selector="patched=yes").items
        assert [node.metadata.name for node in found] == [name]

        def updated() -> bool:
            node = client.raw("GET", f"/api/v1/nodes/{name}").json
            node["metadata"]["labels"]["updated"] = "yes"
            return client.raw("PUT", f"/api/v1/nodes/{name}", node).code == 200

        eventually("it is updated", updated)
    finally:
        client.core.delete_collection_node(label_selector="fake=yes")
    eventually("it is gone", lambda: client.raw("GET", f"/api/v1/nodes/{name}").code == 404)
