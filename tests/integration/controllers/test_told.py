"""What ``kubectl describe`` shows of workloads: events in the words that users search for."""

import pytest

from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
)

LABELS = {"app": "db"}
TOLERANT = [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]


def workload(**spec):
    template = {
        "metadata": {"labels": LABELS},
        "spec": {"containers": [{"name": "db", "image": "db:1"}], "tolerations": TOLERANT},
    }
    told = {"selector": {"matchLabels": LABELS}, "template": template, **spec}
    return {"metadata": {"name": "db"}, "spec": told}


async def told_of(cluster, kind, *wanted):
    """Until all of these have been told of one object of this kind: type, reason, message."""

    async def question():
        return {
            (event["type"], event["reason"], event["message"])
            for event in await cluster.list(EVENTS)
            if event["involvedObject"]["kind"] == kind
        } >= set(wanted)

    await cluster.wait(question)


async def named(cluster, resource, count=1):
    async def question():
        found = sorted(item["metadata"]["name"] for item in await cluster.list(resource))
        return found if len(found) == count else None

    return await cluster.wait(question)


async def test_a_statefulset_tells_of_pods_and_claims(cluster):
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
        },
    }  # fmt: skip
    body = workload(replicas=1, serviceName="db", volumeClaimTemplates=[claim])
    await cluster.create(STATEFUL_SETS, body)
    await named(cluster, PODS)
    name = "statefulset.kubernetes.io/pod-name"

    async def ready():
        return (await cluster.get(STATEFUL_SETS, "db"))["status"].get("readyReplicas")

    await cluster.wait(ready)
    await cluster.patch(PODS, "db-0", {"metadata": {"labels": {name: None}}})

    async def has_its_name_back():
        return (await cluster.get(PODS, "db-0"))["metadata"]["labels"].get(name) == "db-0"

    await cluster.wait(has_its_name_back)
    await cluster.patch(STATEFUL_SETS, "db", {"spec": {"replicas": 0}})
    of_set = "in StatefulSet db"
    await told_of(
        cluster,
        "StatefulSet",
        ("Normal", "SuccessfulCreate", f"create Claim data-db-0 Pod db-0 {of_set} success"),
        ("Normal", "SuccessfulCreate", f"create Pod db-0 {of_set} successful"),
        ("Normal", "SuccessfulUpdate", f"update Pod db-0 {of_set} successful"),
        ("Normal", "SuccessfulDelete", f"delete Pod db-0 {of_set} successful"),
    )


async def test_a_deployment_and_its_replicaset_tell_of_sizes_and_pods(cluster):
    await cluster.create(DEPLOYMENTS, workload(replicas=1))
    [replicaset] = await named(cluster, REPLICA_SETS)
    [pod] = await named(cluster, PODS)
    await cluster.patch(DEPLOYMENTS, "db", {"spec": {"replicas": 0}})
    up, down = (f"Scaled {way} replica set {replicaset} from" for way in ("up", "down"))
    await told_of(
        cluster,
        "Deployment",
        ("Normal", "ScalingReplicaSet", f"{up} 0 to 1"),
        ("Normal", "ScalingReplicaSet", f"{down} 1 to 0"),
    )
    await told_of(
        cluster,
        "ReplicaSet",
        ("Normal", "SuccessfulCreate", f"Created pod: {pod}"),
        ("Normal", "SuccessfulDelete", f"Deleted pod: {pod}"),
    )


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        ("Failed", ("Warning", "FailedDaemonPod", "Found failed", "kill")),
        ("Succeeded", ("Normal", "SucceededDaemonPod", "Found succeeded", "delete")),
    ],
)
async def test_a_daemonset_tells_of_pods_that_ended(cluster, phase, said):
    await cluster.create(DAEMON_SETS, workload())
    [pod] = await named(cluster, PODS)

    async def bound():
        return (await cluster.get(PODS, pod)).get("status", {}).get("phase") == "Running"

    await cluster.wait(bound)
    ended = {"status": {"phase": phase}}
    await cluster.objects.patch(PODS, Key("default", pod), ended, subresource="status")
    kind, reason, found, act = said
    message = f"{found} daemon pod default/{pod} on node node-1, will try to {act} it"
    await told_of(
        cluster,
        "DaemonSet",
        ("Normal", "SuccessfulCreate", f"Created pod: {pod}"),
        (kind, reason, message),
        ("Normal", "SuccessfulDelete", f"Deleted pod: {pod}"),
    )
    assert await named(cluster, PODS) != [pod]
