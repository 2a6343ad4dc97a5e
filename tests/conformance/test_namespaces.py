"""Namespaces and what goes with them."""

from kit.cluster import Cluster
from kit.lifecycle import eventually
from kit.manifests import sleeper
from kit.official import Official
from kit.syllabus import line

NAMESPACE = "apimachinery/namespace.go"


@line(NAMESPACE, "patch a Namespace")
def test_a_namespace_is_patched(client: Official, namespace: str) -> None:
    client.core.patch_namespace(namespace, {"metadata": {"labels": {"team": "blue"}}})
    assert client.core.read_namespace(namespace).metadata.labels["team"] == "blue"


@line(NAMESPACE, "update a Namespace")
def test_a_namespace_is_updated(client: Official, namespace: str) -> None:
    found = client.core.read_namespace(namespace)
    found.metadata.labels["updated"] = "yes"
    assert client.core.replace_namespace(namespace, found).metadata.labels["updated"] == "yes"


@line(NAMESPACE, "Namespace status")
def test_its_status_is_read_and_written(client: Official, namespace: str) -> None:
    assert client.core.read_namespace_status(namespace).status.phase == "Active"
    condition = {"type": "Walked", "status": "True", "reason": "Test", "message": "seen"}
    patch = {"status": {"conditions": [condition]}, "metadata": {"annotations": {"a": "b"}}}
    patched = client.core.patch_namespace_status(namespace, patch)
    assert patched.status.conditions[0].type == "Walked"
    patched.status.conditions[0].message = "seen again"
    updated = client.core.replace_namespace_status(namespace, patched)
    assert updated.status.conditions[0].message == "seen again"
    assert updated.status.phase == "Active"


@line(NAMESPACE, "apply a finalizer to a Namespace")
def test_a_finalizer_is_put_and_taken(client: Official, namespace: str) -> None:
    found = client.core.read_namespace(namespace)
    found.spec.finalizers.append("e2e.example.com/fake")
    put = client.core.replace_namespace_finalize(namespace, found)
    assert set(put.spec.finalizers) == {"kubernetes", "e2e.example.com/fake"}
    put.spec.finalizers.remove("e2e.example.com/fake")
    assert client.core.replace_namespace_finalize(namespace, put).spec.finalizers == ["kubernetes"]


def gone(client: Official, name: str) -> bool:
    return client.raw("GET", f"/api/v1/namespaces/{name}").code == 404


@line(NAMESPACE, "pods removed on namespace delete")
def test_pods_go_with_it(client: Official, cluster: Cluster) -> None:
    client.core.create_namespace({"metadata": {"name": "nsdelete"}})
    cluster.eventually(
        "account", lambda: cluster.try_get("serviceaccount", "default", "-n", "nsdelete")
    )
    client.core.create_namespaced_pod("nsdelete", sleeper("p"))
    cluster.kubectl("-n", "nsdelete", "wait", "--for=condition=Ready", "pod/p", "--timeout=60s")
    client.core.delete_namespace("nsdelete")
    cluster.eventually("it is gone", lambda: gone(client, "nsdelete"), seconds=90)
    client.core.create_namespace({"metadata": {"name": "nsdelete"}})
    assert client.core.list_namespaced_pod("nsdelete").items == []
    client.core.delete_namespace("nsdelete")


@line(NAMESPACE, "services removed on namespace delete")
def test_services_go_with_it(client: Official) -> None:
    client.core.create_namespace({"metadata": {"name": "nsservices"}})
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    client.core.create_namespaced_service("nsservices", service)
    client.core.delete_namespace("nsservices")
    eventually("it is gone", lambda: gone(client, "nsservices"))
    client.core.create_namespace({"metadata": {"name": "nsservices"}})
    assert client.core.list_namespaced_service("nsservices").items == []
    client.core.delete_namespace("nsservices")


@line(NAMESPACE, "Ordered namespace deletion")
def test_pods_go_first(client: Official, cluster: Cluster) -> None:
    name = "nsordered"
    client.core.create_namespace({"metadata": {"name": name}})
    cluster.eventually("account", lambda: cluster.try_get("serviceaccount", "default", "-n", name))
    pod = sleeper("held")
    pod["metadata"]["finalizers"] = ["example.com/held"]
    client.core.create_namespaced_pod(name, pod)
    client.core.create_namespaced_config_map(name, {"metadata": {"name": "later"}})
    client.core.delete_namespace(name)

    def held() -> bool:
        found = client.core.read_namespace(name)
        conditions = {one.type: one.status for one in found.status.conditions or ()}
        return conditions.get("NamespaceDeletionContentFailure") == "True" or (
            conditions.get("NamespaceContentRemaining") == "True"
        )

    cluster.eventually("it says what holds it", held, seconds=90)
    assert client.core.read_namespace(name).status.phase == "Terminating"
    assert client.core.read_namespaced_config_map("later", name)
    client.core.patch_namespaced_pod("held", name, {"metadata": {"finalizers": None}})
    cluster.eventually("it is gone", lambda: gone(client, name), seconds=90)
