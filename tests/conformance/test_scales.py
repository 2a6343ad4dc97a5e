"""``scale`` of the kinds that own pods: read, replaced and patched."""

import pytest
from kit.cluster import Cluster
from kit.official import Official
from kit.syllabus import line

MERGE = {"Content-Type": "application/merge-patch+json"}
KINDS = [
    pytest.param("apps/v1", "deployments", "Deployment",
                 marks=line("apps/deployment.go", "scale subresource")),
    pytest.param("apps/v1", "replicasets", "ReplicaSet",
                 marks=line("apps/replica_set.go", "scale subresource")),
    pytest.param("v1", "replicationcontrollers", "ReplicationController",
                 marks=line("apps/rc.go", "get/update RC scale")),
]  # fmt: skip


@pytest.mark.parametrize(("version", "plural", "kind"), KINDS)
def test_replicas_through_scale(
    cluster: Cluster, client: Official, namespace: str, version: str, plural: str, kind: str
) -> None:
    labels = {"app": "scaled"}
    container = {"name": "main", "image": "busybox", "command": ["sleep", "1000"],
                 "imagePullPolicy": "IfNotPresent"}  # fmt: skip
    body = {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "scaled", "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": labels if version == "v1" else {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
            },
        },
    }
    root = f"/api/{version}" if version == "v1" else f"/apis/{version}"
    collection = f"{root}/namespaces/{namespace}/{plural}"
    assert client.raw("POST", collection, body).code == 201
    path = f"{collection}/scaled/scale"

    def seen(count: int) -> bool:
        status = client.raw("GET", path).json["status"]
        return bool(status["replicas"] == count and status["selector"] == "app=scaled")

    cluster.eventually("one pod", lambda: seen(1))
    scale = client.raw("GET", path).json
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    scale["spec"]["replicas"] = 2
    scale["metadata"].pop("resourceVersion")
    assert client.raw("PUT", path, scale).json["spec"]["replicas"] == 2
    cluster.eventually("two pods", lambda: seen(2))
    patched = client.raw("PATCH", path, {"spec": {"replicas": 3}}, headers=MERGE)
    assert patched.json["spec"]["replicas"] == 3
    cluster.eventually("three pods", lambda: seen(3))
    assert client.raw("PATCH", path, {"spec": {"replicas": -1}}, headers=MERGE).code == 422
