"""A queue without jobs has no workers, and gets some again: a custom kind tells of the queue."""

import itertools
import json
import time

import pytest
import yaml
from kit.definitions import crd, version

BACKLOGS = "backlogs.external.metrics.k8s.io"


class Queue:
    """A Deployment of workers, its autoscaler, and how many jobs wait."""

    def __init__(self, plane, namespace):
        self.plane, self.namespace = plane, namespace
        self._most = itertools.count(6)

    def kubectl(self, *arguments, text=None):
        return self.plane.kubectl("-n", self.namespace, *arguments, text=text)

    def create(self, api_version, kind, name, **more):
        body = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **more}
        self.kubectl("create", "-f", "-", text=yaml.safe_dump(body))

    def serve(self):
        """Anything of ``external.metrics.k8s.io`` is read as a custom object."""
        anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        served = [version("v1beta1", schema=anything)]
        body = crd("backlogs", "Backlog", "external.metrics.k8s.io", versions=served)
        body["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, a double"}
        self.kubectl("apply", "-f", "-", text=yaml.safe_dump(body))
        self.kubectl("wait", "--for=condition=Established", f"crd/{BACKLOGS}")
        self.create("external.metrics.k8s.io/v1beta1", "Backlog", "one", value="25")

    def work(self):
        self.kubectl("create", "deployment", "worker", "--image=worker:1")
        target = {"type": "AverageValue", "averageValue": "10"}
        metric = {"metric": {"name": "backlogs"}, "target": target}
        spec = {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "worker"},
            "minReplicas": 0,
            "maxReplicas": 5,
            "metrics": [{"type": "External", "external": metric}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        }
        self.create("autoscaling/v2", "HorizontalPodAutoscaler", "worker", spec=spec)

    def look_again(self):
        """A changed autoscaler is looked at at once."""
        patch = json.dumps({"spec": {"maxReplicas": next(self._most)}})
        self.kubectl("patch", "hpa", "worker", "--type=merge", "-p", patch)

    def waiting(self, jobs):
        patch = json.dumps({"value": jobs})
        self.kubectl("patch", BACKLOGS, "one", "--type=merge", "-p", patch)
        self.look_again()

    def has_workers(self, count):
        wanted = f"--for=jsonpath={{.spec.replicas}}={count}"
        self.kubectl("wait", wanted, "deployment/worker", "--timeout=30s")

    def says(self, type_, reason):
        deadline = time.monotonic() + 20
        while True:
            found = json.loads(self.kubectl("get", "hpa", "worker", "-o", "json"))
            told = found.get("status", {}).get("conditions") or ()
            seen = {item["type"]: item["reason"] for item in told}
            if seen.get(type_) == reason:
                return
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)


@pytest.fixture
def queue(control_plane, control_plane_namespace):
    return Queue(control_plane, control_plane_namespace)


def test_only_the_zero_of_the_autoscaler_ends_by_itself(queue):
    queue.serve()
    queue.work()
    queue.has_workers(3)
    queue.says("ScaledToZero", "NotScaledToZero")
    queue.waiting("0")
    queue.has_workers(0)
    queue.says("ScaledToZero", "ScaledToZero")
    queue.waiting("12")
    queue.has_workers(2)
    queue.says("ScaledToZero", "NotScaledToZero")
    queue.kubectl("scale", "deployment", "worker", "--replicas=0")
    queue.look_again()
    queue.says("ScalingActive", "ScalingDisabled")
    queue.has_workers(0)
