"""Helm 4, as a library: a chart with a hook and a custom resource."""

import json
import subprocess

import pytest
from helm_python import Config

CHART = """
apiVersion: v2
name: shop
version: 0.1.0
"""
VALUES = """
replicas: 2
size: 1
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec: {containers: [{name: web, image: "web:1"}]}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec: {selector: {app: {{ .Release.Name }}}, ports: [{port: 80}]}
"""
ORDER = """
apiVersion: helm.example.com/v1
kind: Order
metadata: {name: {{ .Release.Name }}}
spec: {size: {{ .Values.size }}}
"""
HOOK = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-before-{{ .Release.Revision }}
  annotations: {"helm.sh/hook": "pre-install,pre-upgrade"}
data: {revision: "{{ .Release.Revision }}"}
"""
CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: orders.helm.example.com}
spec:
  group: helm.example.com
  scope: Namespaced
  names: {plural: orders, kind: Order}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {size: {type: integer}}}}
"""


@pytest.fixture
def chart(tmp_path):
    files = {
        "Chart.yaml": CHART,
        "values.yaml": VALUES,
        "templates/deployment.yaml": DEPLOYMENT,
        "templates/order.yaml": ORDER,
        "templates/hook.yaml": HOOK,
        "crds/orders.yaml": CRD,
    }
    for name, text in files.items():
        path = tmp_path / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "shop"


def test_a_release_lives(control_plane, namespace, chart):
    def get(*what):
        return json.loads(control_plane.kubectl("get", "-n", namespace, *what, "-o", "json"))

    with Config(kubeconfig_path=control_plane.kubeconfig, namespace=namespace) as helm:
        helm.check_reachable()
        helm.install(chart, "shop", timeout=60)
        assert get("deployment", "shop")["spec"]["replicas"] == 2
        assert get("order", "shop")["spec"]["size"] == 1
        assert get("configmap", "shop-before-1")["data"] == {"revision": "1"}
        assert helm.status("shop")["status"] == "deployed"

        helm.upgrade(chart, "shop", {"replicas": 3, "size": 4}, timeout=60)
        assert get("deployment", "shop")["spec"]["replicas"] == 3
        assert get("order", "shop")["spec"]["size"] == 4
        assert get("configmap", "shop-before-2")

        helm.rollback("shop", version=1, timeout=60)
        assert get("deployment", "shop")["spec"]["replicas"] == 2
        assert get("order", "shop")["spec"]["size"] == 1
        # A rollback's revision is a new one, and what each release was is kept in Secrets.
        kept = get("secrets", "-l", "owner=helm,name=shop")["items"]
        assert len(kept) == 3

        helm.uninstall("shop", timeout=60)
        for what in ("deployment", "service", "order"):
            with pytest.raises(subprocess.CalledProcessError, match="returned non-zero"):
                control_plane.kubectl("get", "-n", namespace, what, "shop")
        assert get("secrets", "-l", "owner=helm")["items"] == []
