"""An autoscaler on a real control plane: a metrics server's place is taken by a custom kind."""

import json
import time

import pytest
import yaml
from kit.definitions import crd, version

from pilothouse.ops.testing.control_plane import start


@pytest.fixture
def plane(tmp_path):
    with start(tmp_path, nodes=1) as found:
        yield found


def test_a_deployment_grows_with_what_its_pods_use(plane):
    kubectl = plane.kubectl
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    body = crd(
        "pods", "PodMetrics", "metrics.k8s.io", versions=[version("v1beta1", schema=anything)]
    )
    body["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, a double"}
    kubectl("apply", "-f", "-", text=yaml.safe_dump(body))
    container = {"name": "web", "image": "web:1", "resources": {"requests": {"cpu": "100m"}}}
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
           "spec": {"replicas": 2, "selector": {"matchLabels": labels},
                    "template": template}}  # fmt: skip
    kubectl("create", "-f", "-", text=yaml.safe_dump(web))
    kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    pods = json.loads(kubectl("get", "pods", "-l", "app=web", "-o", "json"))["items"]
    for pod in pods:
        named = {key: pod["metadata"][key] for key in ("name", "labels")}
        use = {"name": "web", "usage": {"cpu": "90m"}}
        told = {"apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics", "metadata": named,
                "timestamp": "2036-01-01T00:00:00Z", "window": "30s",
                "containers": [use]}  # fmt: skip
        kubectl("apply", "-f", "-", text=yaml.safe_dump(told))
    kubectl("wait", "--for=condition=Established", "crd/pods.metrics.k8s.io")
    kubectl("autoscale", "deployment", "web", "--min=1", "--max=8", "--cpu=50%")
    kubectl("wait", "--for=jsonpath={.spec.replicas}=4", "deployment/web", "--timeout=40s")
    wanted = "--for=jsonpath={.status.desiredReplicas}=4"
    kubectl("wait", wanted, "hpa/web", "--timeout=20s")
    status = json.loads(kubectl("get", "hpa", "web", "-o", "json"))["status"]
    assert status["currentMetrics"][0]["resource"]["current"] == {
        "averageUtilization": 90,
        "averageValue": "90m",
    }
    told = {item["type"]: item["reason"] for item in status["conditions"]}
    assert told == {
        "AbleToScale": "SucceededRescale",
        "ScalingActive": "ValidMetricFound",
        "ScalingLimited": "DesiredWithinRange",
        "ScaledToZero": "NotScaledToZero",
    }
    deadline = time.monotonic() + 20
    while "New size: 4; reason: cpu resource utilization" not in kubectl("events"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
