"""PodDisruptionBudgets: what the controller tells of them, and evictions that ask them."""

from typing import Any

import pytest
from kit.cluster import Cluster
from kit.lifecycle import eventually
from kit.official import Official
from kit.syllabus import line

DISRUPTION = "apps/disruption.go"
MERGE = {"Content-Type": "application/merge-patch+json"}


class Budgets:
    """Budgets and pods ``app=web`` of one namespace."""

    def __init__(self, cluster: Cluster, client: Official, namespace: str) -> None:
        self.cluster, self.client, self.namespace = cluster, client, namespace
        self.policy = client.group("PolicyV1Api")

    def create(self, name: str = "budget", **spec: Any) -> Any:
        body = {
            "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
        }
        return self.policy.create_namespaced_pod_disruption_budget(self.namespace, body)

    def status(self, name: str = "budget") -> Any:
        return self.policy.read_namespaced_pod_disruption_budget(name, self.namespace).status

    def run_pods(self, count: int) -> None:
        container = {
            "name": "main",
            "image": "busybox",
            "imagePullPolicy": "IfNotPresent",
            "command": ["sleep", "1000"],
        }
        for number in range(count):
            pod = {
                "metadata": {"name": f"web-{number}", "labels": {"app": "web"}},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
            }
            self.client.core.create_namespaced_pod(self.namespace, pod)

    def wait_allowed(self, allowed: int, healthy: int) -> None:
        def seen() -> bool:
            status = self.status()
            told = (status.disruptions_allowed, status.current_healthy)
            return bool(status.observed_generation) and told == (allowed, healthy)

        self.cluster.eventually(f"{allowed} of {healthy} may go", seen)

    def evict(self, pod: str, **options: Any) -> int:
        eviction = {"metadata": {"name": pod}, **options}
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/eviction"
        answer = self.client.raw(
            "POST", path, {"apiVersion": "policy/v1", "kind": "Eviction", **eviction}
        )
        if answer.code == 429:
            assert answer.json["reason"] == "TooManyRequests"
            assert answer.json["details"]["causes"][0]["reason"] == "DisruptionBudget"
        return answer.code


@pytest.fixture
def budgets(cluster: Cluster, client: Official, namespace: str) -> Budgets:
    return Budgets(cluster, client, namespace)


@line(DISRUPTION, "PDB status observed")
def test_the_controller_tells_what_may_go(budgets: Budgets) -> None:
    budgets.run_pods(2)
    budgets.create(minAvailable=1)
    budgets.wait_allowed(1, 2)
    status = budgets.status()
    assert (status.expected_pods, status.desired_healthy) == (2, 1)
    assert [(item.type, item.status) for item in status.conditions] == [
        ("DisruptionAllowed", "True")
    ]


@line(DISRUPTION, "block eviction until PDB updated")
def test_an_eviction_waits_for_its_budget(budgets: Budgets, client: Official) -> None:
    budgets.run_pods(2)
    budgets.create(minAvailable=2)
    budgets.wait_allowed(0, 2)
    assert budgets.evict("web-0") == 429
    assert budgets.evict("web-0", deleteOptions={"dryRun": ["All"]}) == 429
    budgets.policy.patch_namespaced_pod_disruption_budget(
        "budget", budgets.namespace, {"spec": {"minAvailable": 1}}
    )
    budgets.wait_allowed(1, 2)
    assert budgets.evict("web-0", deleteOptions={"dryRun": ["All"]}) == 201
    assert budgets.evict("web-0") == 201
    budgets.wait_allowed(0, 1)

    def gone() -> bool:
        path = f"/api/v1/namespaces/{budgets.namespace}/pods/web-0"
        return client.raw("GET", path).code == 404

    budgets.cluster.eventually("it is gone", gone)


@line(DISRUPTION, "PDB update/patch status")
def test_a_status_is_written_apart(budgets: Budgets, client: Official) -> None:
    budgets.create(minAvailable=1)
    budgets.wait_allowed(0, 0)
    path = f"/apis/policy/v1/namespaces/{budgets.namespace}/poddisruptionbudgets/budget/status"
    stamp = "2030-01-01T00:00:00Z"
    patch = {"status": {"disruptedPods": {"gone": stamp}}}
    patched = client.raw("PATCH", path, patch, headers=MERGE)
    assert patched.json["status"]["disruptedPods"] == {"gone": stamp}

    def update() -> Any:
        shown = client.raw("GET", path).json
        shown["spec"]["minAvailable"] = 9
        shown["status"]["expectedPods"] = 7
        answer = client.raw("PUT", path, shown)
        # The controller may have written in between.
        return None if answer.code == 409 else answer

    updated = eventually("the status is written", update)
    assert updated.code == 200, updated.body
    assert updated.json["spec"]["minAvailable"] == 1
    assert updated.json["status"]["expectedPods"] == 7


def test_two_budgets_are_one_too_many(budgets: Budgets) -> None:
    budgets.run_pods(1)
    budgets.create(minAvailable=0)
    budgets.create("other", minAvailable=0)
    budgets.wait_allowed(1, 1)
    assert budgets.evict("web-0") == 500


def test_an_unready_pod_may_always_go(budgets: Budgets, client: Official) -> None:
    budgets.create(minAvailable=1, unhealthyPodEvictionPolicy="AlwaysAllow")
    pod = {
        "metadata": {"name": "sick", "labels": {"app": "web"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "main",
                    "image": "busybox",
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sleep", "1000"],
                    "readinessProbe": {"exec": {"command": ["false"]}},
                }
            ],
        },
    }
    client.core.create_namespaced_pod(budgets.namespace, pod)

    def runs() -> bool:
        found = client.core.read_namespaced_pod("sick", budgets.namespace)
        return bool(found.status.phase == "Running")

    budgets.cluster.eventually("it runs", runs)
    assert budgets.evict("sick") == 201
