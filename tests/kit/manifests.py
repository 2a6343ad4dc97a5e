"""Small manifests that several tests create."""

from typing import Any

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: nginx, image: nginx, ports: [{containerPort: 80}]}
"""

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80}]
"""

POD = """
apiVersion: v1
kind: Pod
metadata: {name: lone}
spec:
  containers: [{name: nginx, image: nginx}]
"""


def sleeper(name: str, **spec: Any) -> dict[str, Any]:
    """A pod that does nothing, and ends at once when told to."""
    container = {"name": "c", "image": "busybox", "command": ["sleep", "3600"]}
    return {
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }
