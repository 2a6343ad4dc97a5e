"""ResourceQuotas: what is counted, under which scopes, and when the status is written."""

from pilothouse.services.controllers.policy import resourcequota
from pilothouse.services.controllers.policy.resourcequota import counted, plan


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
