"""Manifests of the kinds that own pods, and what their users watch."""

from typing import Any

from kit.cluster import Cluster
from kit.official import Official

HEALTHY = "/tmp/healthy"
# Ends at once when told to, and serves only while the file is there.
FRAGILE = {
    "name": "c",
    "image": "busybox",
    "command": ["sh", "-c", f"touch {HEALTHY}; sleep 3600"],
    "readinessProbe": {
        "exec": {"command": ["test", "-f", HEALTHY]},
        "periodSeconds": 1,
        "failureThreshold": 1,
    },
}
SLEEPER = {"name": "c", "image": "busybox", "command": ["sleep", "3600"]}
SERVER = {"name": "nginx", "image": "nginx"}


def template(app: str, container: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A pod's template, labelled ``app``, that goes without grace."""
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [dict(container)], **spec},
    }


def workload(
    kind: str, name: str, container: dict[str, Any], pod: dict[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    """Any of the kinds of apps/v1 that own pods; ``pod`` adds to its pods' spec."""
    if kind == "StatefulSet":
        spec = {"serviceName": name, **spec}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, container, **(pod or {})),
            **spec,
        },
    }


class Watched:
    """One namespace's workloads, as their user looks at them."""

    def __init__(self, cluster: Cluster, client: Official, namespace: str) -> None:
        self.cluster, self.client, self.namespace = cluster, client, namespace

    def pods(self, app: str) -> dict[str, Any]:
        """The pods that are not going, by name."""
        path = f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=app%3D{app}"
        items = self.client.raw("GET", path).json["items"]
        return {
            item["metadata"]["name"]: item
            for item in items
            if "deletionTimestamp" not in item["metadata"]
        }

    def get(self, plural: str, name: str) -> Any:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/{plural}/{name}"
        return self.client.raw("GET", path).json

    def list(self, plural: str) -> list[Any]:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/{plural}"
        items: list[Any] = self.client.raw("GET", path).json["items"]
        return items

    def create(self, body: dict[str, Any]) -> Any:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/{body['kind'].lower()}s"
        answer = self.client.raw("POST", path, body)
        assert answer.code == 201, answer.body
        return answer.json

    def patch(self, plural: str, name: str, patch: dict[str, Any]) -> Any:
        """A strategic merge patch."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/{plural}/{name}"
        headers = {"Content-Type": "application/strategic-merge-patch+json"}
        answer = self.client.raw("PATCH", path, patch, headers=headers)
        assert answer.code == 200, answer.body
        return answer.json

    def label(self, pod: str, **labels: str | None) -> None:
        body = {"metadata": {"labels": labels}}
        self.client.core.patch_namespaced_pod(pod, self.namespace, body)

    def kubectl(self, *arguments: str, timeout: float = 60) -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments, timeout=timeout)

    def rolled(self, what: str) -> None:
        """Wait until a rollout has arrived."""
        self.kubectl("rollout", "status", what, "--timeout=60s", timeout=70)

    def sicken(self, pod: str) -> None:
        """A fragile pod serves no more."""
        self.kubectl("exec", pod, "--", "rm", "-f", HEALTHY)
        self.cluster.eventually(f"{pod} is not ready", lambda: not self.is_ready(pod))

    def heal(self, pod: str) -> None:
        self.kubectl("exec", pod, "--", "touch", HEALTHY)

    def is_ready(self, pod: str) -> bool:
        found = self.client.core.read_namespaced_pod(pod, self.namespace)
        told = {item.type: item.status for item in found.status.conditions or ()}
        return bool(told.get("Ready") == "True")

    def fail(self, pod: str) -> None:
        """Say of a pod that it has failed, as its kubelet would."""
        body = {"status": {"phase": "Failed"}}
        self.client.core.patch_namespaced_pod_status(pod, self.namespace, body)


def image_of(pod: dict[str, Any]) -> str:
    image: str = pod["spec"]["containers"][0]["image"]
    return image


def ready(pod: dict[str, Any]) -> bool:
    told = {item["type"]: item["status"] for item in pod["status"].get("conditions", ())}
    return told.get("Ready") == "True"
