"""What kubectl 1.37 does, unmodified."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kit.manifests import DEPLOYMENT, POD, SERVICE


@pytest.fixture
def kubectl(api, namespace):
    def run(*arguments, **options):
        return api.kubectl("-n", namespace, *arguments, **options)

    run("create", "-f", "-", stdin=DEPLOYMENT)
    return run


def test_create_get_and_describe(kubectl):
    assert kubectl("create", "-f", "-", stdin=SERVICE) == "service/web created\n"
    lines = kubectl("get", "deployment,service", "-o", "wide").splitlines()
    assert lines[0].split() == [
        "NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR",
    ]  # fmt: skip
    assert lines[1].split()[:4] == ["deployment.apps/web", "0/2", "0", "0"]
    assert lines[3].split()[:4] == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP"]
    assert "NodePort" in lines[4]
    described = kubectl("describe", "deployment", "web")
    assert "StrategyType:           RollingUpdate" in described
    assert "Image:         nginx" in described


def test_create_tells_of_unknown_fields(kubectl):
    bad = POD.replace("containers:", "containerz: 1\n  containers:")
    message = kubectl("create", "-f", "-", stdin=bad, fails=True)
    assert 'unknown field "spec.containerz"' in message


def test_label_annotate_and_patch(kubectl):
    kubectl("label", "deployment", "web", "tier=front")
    kubectl("annotate", "deployment", "web", "note=x")
    kubectl("patch", "deployment", "web", "-p", '{"spec":{"paused":true}}')
    kubectl("patch", "deployment", "web", "--type=merge", "-p", '{"spec":{"minReadySeconds":3}}')
    found = json.loads(kubectl("get", "deployment", "-l", "tier=front", "-o", "json"))["items"][0]
    assert found["metadata"]["annotations"]["note"] == "x"
    assert found["spec"]["paused"] is True
    assert found["spec"]["minReadySeconds"] == 3


def test_scale(kubectl):
    assert "scaled" in kubectl("scale", "deployment", "web", "--replicas=5")
    assert kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "5"


def test_apply_changes_only_what_differs(kubectl):
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    changed = DEPLOYMENT.replace("replicas: 2", "replicas: 4")
    assert "configured" in kubectl("apply", "-f", "-", stdin=changed)
    assert "unchanged" in kubectl("apply", "-f", "-", stdin=changed)
    assert kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "4"


def test_rollout_restart_marks_the_template(kubectl):
    kubectl("rollout", "restart", "deployment/web")
    template = kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.template.metadata}")
    assert "kubectl.kubernetes.io/restartedAt" in template


def test_delete_waits_until_it_is_gone(kubectl):
    assert "deleted" in kubectl("delete", "deployment", "web")
    assert "NotFound" in kubectl("get", "deployment", "web", fails=True)


def test_pods_print_as_pods_do(kubectl):
    kubectl("create", "-f", "-", stdin=POD)
    header, row = kubectl("get", "pods", "-o", "wide").splitlines()
    assert header.split() == [
        "NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED", "NODE",
        "READINESS", "GATES",
    ]  # fmt: skip
    assert row.split()[:4] == ["lone", "0/1", "Pending", "0"]
    assert "Pending" in kubectl("describe", "pod", "lone")


def test_watch_prints_what_comes(api, namespace, kubectl):
    command = [
        Path(sys.executable).parent / "kubectl", f"--kubeconfig={api.folder}/admin.conf",
        "-n", namespace, "get", "pods", "-w", "--no-headers",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        try:
            time.sleep(0.5)
            kubectl("create", "-f", "-", stdin=POD)
            assert watching.stdout.readline().split()[:3] == ["lone", "0/1", "Pending"]
            kubectl("delete", "pod", "lone", "--wait=false")
            assert watching.stdout.readline().split()[0] == "lone"
        finally:
            watching.terminate()


def test_explain_and_discovery(api):
    explained = api.kubectl("explain", "deployment.spec")
    assert "KIND:       Deployment" in explained
    assert "progressDeadlineSeconds\t<integer>" in explained
    resources = api.kubectl("api-resources")
    assert "deployments" in resources
    assert "horizontalpodautoscalers" in resources
    assert "apps/v1" in api.kubectl("api-versions")


def test_every_kind_that_can_be_listed_is_listed(api):
    names = api.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    assert len(names) > 50
    api.kubectl("get", ",".join(names), "-A")


def test_version(api):
    version = json.loads(api.kubectl("version", "-o", "json"))["serverVersion"]
    assert (version["major"], version["minor"]) == ("1", "37")


def test_component_statuses_tell_who_is_missing(api):
    rows = {row.split()[0]: row for row in api.kubectl("get", "cs", "--no-headers").splitlines()}
    assert "Healthy" in rows["etcd-0"]
    assert "Unhealthy" in rows["scheduler"]
    assert "Unhealthy" in rows["controller-manager"]


def test_yaml_comes_back_as_yaml(api):
    assert "kind: Namespace" in api.kubectl("get", "namespace", "default", "-o", "yaml")
