"""ResourceQuotas: what is counted, under which scopes, and when the status is written."""

from pilothouse.services.controllers.policy import resourcequota
from pilothouse.services.controllers.policy.resourcequota import (
    CHARGED_SECONDS,
    ResourceQuotaController,
    counted,
    plan,
)
from pilothouse.services.machinery.objects import Key


def quota(hard, status=None, **spec):
    return {"metadata": {"name": "q"}, "spec": {"hard": hard, **spec}, "status": status or {}}


def pod(requests=None, phase="Running", **spec):
    resources = {"requests": requests or {}}
    containers = [{"name": "c", "resources": resources}]
    return {"spec": {"containers": containers, **spec}, "status": {"phase": phase}}


PODS = ("", "pods")


def used(hard, documents, kind=PODS, **spec):
    todo = plan(quota(hard, **spec), {kind: documents})
    assert todo.status is not None
    return todo.status["used"]


def test_the_kinds_behind_the_words():
    hard = dict.fromkeys(
        ["pods", "requests.cpu", "services.nodeports", "count/deployments.apps", "configmaps",
         "gold.storageclass.storage.k8s.io/requests.storage"], "1"
    )  # fmt: skip
    assert counted(quota(hard)) == {
        PODS, ("", "services"), ("apps", "deployments"), ("", "configmaps"),
        ("", "persistentvolumeclaims"),
    }  # fmt: skip


def test_pods_that_have_ended_are_only_counted_as_objects():
    hard = {"pods": "5", "count/pods": "5", "requests.memory": "1Gi"}
    found = [pod({"memory": "252Mi"}), pod({"memory": "10Mi"}, phase="Succeeded")]
    assert used(hard, found) == {"count/pods": "2", "pods": "1", "requests.memory": "252Mi"}


def test_init_containers_and_extended_resources():
    init = [{"name": "i", "resources": {"requests": {"cpu": "2"}}}]
    found = [pod({"cpu": "500m", "example.com/dongle": "3"}, initContainers=init)]
    hard = {"cpu": "9", "requests.example.com/dongle": "9", "limits.cpu": "9"}
    assert used(hard, found) == {"cpu": "2", "requests.example.com/dongle": "3", "limits.cpu": "0"}


def test_scopes():
    best, other = pod(), pod({"cpu": "1"}, activeDeadlineSeconds=9)
    for scope, count in (("BestEffort", "1"), ("NotBestEffort", "1"), ("Terminating", "1")):
        assert used({"pods": "9"}, [best, other], scopes=[scope]) == {"pods": count}
    first = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
    chosen = [pod(priorityClassName="high"), pod(priorityClassName="low"), pod()]
    selector = {"matchExpressions": [first]}
    assert used({"pods": "9"}, chosen, scopeSelector=selector) == {"pods": "1"}


def test_services_and_claims():
    service = {"spec": {"type": "LoadBalancer", "ports": [{}, {}]}}
    hard = {"services": "9", "services.nodeports": "9", "services.loadbalancers": "9"}
    assert used(hard, [service], ("", "services")) == {
        "services": "1", "services.loadbalancers": "1", "services.nodeports": "2",
    }  # fmt: skip
    claim = {"spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}}}}
    name = "gold.storageclass.storage.k8s.io/persistentvolumeclaims"
    hard = {name: "9", "requests.storage": "9Gi"}
    assert used(hard, [claim], ("", "persistentvolumeclaims")) == {
        name: "1", "requests.storage": "1Gi",
    }  # fmt: skip


def test_a_status_that_is_true_is_left_alone():
    hard = {"pods": "5"}
    todo = plan(quota(hard), {PODS: [pod()]})
    again = plan(quota(hard, todo.status), {PODS: [pod()]})
    assert again.status is None
    assert resourcequota.plan(quota({}, todo.status), {}).status == {"hard": {}, "used": {}}


class Cluster:
    """One quota of pods, and what there is to count."""

    def __init__(self, used_pods, found):
        self.seconds = 0.0
        self.revision = 1
        self.found = found
        self.status = {"hard": {"pods": "5"}, "used": {"pods": str(used_pods)}}

    def now(self):
        return self.seconds

    async def quota(self, key):
        made = quota({"pods": "5"}, self.status)
        return {**made, "metadata": {"name": key.name, "resourceVersion": str(self.revision)}}

    async def contents(self, namespace, group, plural):
        return [pod()] * self.found

    async def write(self, quota, status):
        self.status = status
        self.revision += 1


async def test_less_is_told_only_when_it_was_found_twice():
    cluster, key = Cluster(3, found=2), Key("a", "q")
    controller = ResourceQuotaController(cluster)
    again = await controller.reconcile(key)
    assert cluster.status["used"] == {"pods": "3"}
    assert again.again_after == CHARGED_SECONDS
    cluster.seconds += CHARGED_SECONDS / 2
    await controller.reconcile(key)
    assert cluster.status["used"] == {"pods": "3"}
    cluster.revision += 1  # another was charged, and is not there yet
    cluster.seconds += CHARGED_SECONDS
    await controller.reconcile(key)
    assert cluster.status["used"] == {"pods": "3"}
    cluster.seconds += CHARGED_SECONDS
    await controller.reconcile(key)
    assert cluster.status["used"] == {"pods": "2"}


async def test_more_is_told_at_once():
    cluster = Cluster(1, found=2)
    await ResourceQuotaController(cluster).reconcile(Key("a", "q"))
    assert cluster.status["used"] == {"pods": "2"}
