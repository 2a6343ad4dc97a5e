"""A kopf operator on a custom resource, in its own process as its users run it."""

import json
import os
import subprocess
import sys

import pytest

OPERATOR = """
import kopf
import kubernetes


@kopf.on.create("clients.example.com", "v1", "widgets")
def create(spec, name, namespace, patch, **_):
    child = {"metadata": {"name": name}, "data": {"size": str(spec["size"])}}
    kopf.adopt(child)
    kubernetes.config.load_kube_config()
    kubernetes.client.CoreV1Api().create_namespaced_config_map(namespace, child)
    return {"made": name}


@kopf.on.field("clients.example.com", "v1", "widgets", field="spec.size")
def resize(old, new, patch, **_):
    patch.status["sizes"] = f"{old}->{new}"


@kopf.on.delete("clients.example.com", "v1", "widgets")
def delete(name, namespace, **_):
    kubernetes.client.CoreV1Api().create_namespaced_config_map(
        namespace, {"metadata": {"name": f"{name}-was-here"}}
    )
"""


@pytest.fixture
def operator(control_plane, namespace, widgets, tmp_path):
    (tmp_path / "widgets_operator.py").write_text(OPERATOR)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "kopf",
                "run",
                f"--namespace={namespace}",
                "widgets_operator.py",
            ],
            cwd=tmp_path,
            env={**os.environ, "KUBECONFIG": str(control_plane.kubeconfig)},
            stdout=log,
            stderr=log,
        )
    try:
        yield tmp_path / "log"
    finally:
        process.terminate()
        process.wait(30)


def test_it_creates_follows_and_finalizes(control_plane, namespace, operator):
    def kubectl(*arguments, text=None):
        try:
            return control_plane.kubectl("-n", namespace, *arguments, text=text)
        except subprocess.CalledProcessError as error:
            raise AssertionError(f"{error.stderr}\n{operator.read_text()}") from None

    widget = {
        "apiVersion": "clients.example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": {"size": 3},
    }
    kubectl("create", "-f", "-", text=json.dumps(widget))
    kubectl("wait", "--for=jsonpath={.status.create.made}=w", "widget/w", "--timeout=60s")
    child = json.loads(kubectl("get", "configmap", "w", "-o", "json"))
    assert child["data"] == {"size": "3"}
    assert child["metadata"]["ownerReferences"][0]["kind"] == "Widget"

    kubectl("patch", "widget", "w", "--type=merge", "-p", '{"spec": {"size": 5}}')
    kubectl("wait", "--for=jsonpath={.status.sizes}=3->5", "widget/w", "--timeout=60s")

    kubectl("delete", "widget", "w", "--timeout=60s")
    kubectl("get", "configmap", "w-was-here")
    kubectl("wait", "--for=delete", "configmap/w", "--timeout=60s")
