"""kubectl where no container is needed: every verb of its help, on a control plane alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kit.certificates import signing_request
from kit.manifests import DEPLOYMENT

NODE = {"apiVersion": "v1", "kind": "Node"}


@pytest.fixture
def kubectl(control_plane, namespace):
    """kubectl in the test's namespace."""

    def run(*arguments, text=None):
        try:
            return control_plane.kubectl("-n", namespace, *arguments, text=text)
        except subprocess.CalledProcessError as error:
            raise AssertionError(f"{arguments}: {error.stdout}{error.stderr}") from None

    return run


@pytest.fixture
def refused(control_plane, namespace):
    """What kubectl says when it fails, as it must."""

    def run(*arguments, text=None):
        with pytest.raises(subprocess.CalledProcessError) as error:
            control_plane.kubectl("-n", namespace, *arguments, text=text)
        return error.value.stderr

    return run


@pytest.fixture
def node(kubectl, request):
    name = f"node-{request.node.name.replace('_', '-')}"[:50].lower()
    kubectl("create", "-f", "-", text=json.dumps({**NODE, "metadata": {"name": name}}))
    yield name
    kubectl("delete", "node", name)


def test_get_in_every_form(kubectl):
    kubectl("create", "configmap", "c", "--from-literal=a=1")
    assert kubectl("get", "cm", "c", "-o", "name") == "configmap/c\n"
    assert kubectl("get", "cm", "c", "-o", "jsonpath={.data.a}") == "1"
    assert kubectl("get", "cm", "c", "-o", "go-template={{.data.a}}") == "1"
    assert "NAME" in kubectl("get", "cm", "-o", "wide")
    assert kubectl("get", "cm", "c", "-o", "custom-columns=A:.data.a").split() == ["A", "1"]
    assert 'a: "1"' in kubectl("get", "cm", "c", "-o", "yaml")
    assert "managedFields" not in kubectl("get", "cm", "c", "-o", "yaml")
    assert "managedFields" in kubectl("get", "cm", "c", "-o", "yaml", "--show-managed-fields")
    assert "a=b" not in kubectl("get", "cm", "--show-labels")
    assert "c" in kubectl("get", "cm", "--sort-by=.metadata.name", "--no-headers")
    assert "c" in kubectl("get", "all,cm", "--ignore-not-found")
    assert kubectl("get", "cm", "nothing", "--ignore-not-found") == ""


def test_apply_diff_and_prune(kubectl, control_plane, namespace, tmp_path):
    manifest = tmp_path / "m.yaml"
    manifest.write_text(DEPLOYMENT)
    assert "created" in kubectl("apply", "-f", str(manifest))
    assert "unchanged" in kubectl("apply", "-f", str(manifest))
    manifest.write_text(DEPLOYMENT.replace("replicas: 2", "replicas: 5"))
    with pytest.raises(subprocess.CalledProcessError) as differs:
        control_plane.kubectl("-n", namespace, "diff", "-f", str(manifest))
    assert differs.value.returncode == 1
    assert "+  replicas: 5" in differs.value.stdout
    assert "configured" in kubectl("apply", "-f", str(manifest))
    assert "last-applied-configuration" in kubectl("get", "deployment", "web", "-o", "yaml")
    assert "replicas: 5" in kubectl("apply", "view-last-applied", "deployment/web")
    kubectl("apply", "-f", "-", text=manifest.read_text())
    kubectl("delete", "-f", str(manifest))


def test_apply_on_the_server_side(kubectl, refused):
    kubectl("apply", "--server-side", "-f", "-", text=DEPLOYMENT)
    kubectl("scale", "deployment", "web", "--replicas=4")
    said = refused("apply", "--server-side", "-f", "-", text=DEPLOYMENT)
    assert "conflict" in said
    assert ".spec.replicas" in said
    assert kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "4"
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=DEPLOYMENT)
    assert kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "2"


def test_from_client_side_to_server_side_apply(kubectl):
    kubectl("apply", "-f", "-", text=DEPLOYMENT)
    without = DEPLOYMENT.replace(", labels: {app: web}}\nspec", "}\nspec")
    assert without != DEPLOYMENT
    kubectl("apply", "--server-side", "-f", "-", text=without)
    labels = kubectl("get", "deployment", "web", "-o", "jsonpath={.metadata.labels}")
    assert labels == ""


def test_the_three_patches(kubectl):
    kubectl("create", "-f", "-", text=DEPLOYMENT)
    strategic = '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"busybox"}]}}}}'
    kubectl("patch", "deployment", "web", "-p", strategic)
    names = "jsonpath={.spec.template.spec.containers[*].name}"
    assert set(kubectl("get", "deployment", "web", "-o", names).split()) == {"nginx", "side"}
    kubectl("patch", "deployment", "web", "--type=merge", "-p", strategic)
    assert kubectl("get", "deployment", "web", "-o", names) == "side"
    steps = '[{"op":"replace","path":"/spec/template/spec/containers/0/name","value":"other"}]'
    kubectl("patch", "deployment", "web", "--type=json", "-p", steps)
    assert kubectl("get", "deployment", "web", "-o", names) == "other"
    kubectl("patch", "deployment", "web", "--subresource=scale", "--type=merge",
            "-p", '{"spec":{"replicas":7}}')  # fmt: skip
    assert kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "7"


def test_edit(kubectl, monkeypatch):
    kubectl("create", "configmap", "c", "--from-literal=a=before")
    monkeypatch.setenv("KUBE_EDITOR", "sed -i s/before/after/")
    assert "edited" in kubectl("edit", "configmap", "c")
    assert kubectl("get", "cm", "c", "-o", "jsonpath={.data.a}") == "after"


def test_replace_with_force_makes_it_anew(kubectl):
    kubectl("create", "-f", "-", text=DEPLOYMENT)
    uid = kubectl("get", "deployment", "web", "-o", "jsonpath={.metadata.uid}")
    kubectl("replace", "--force", "-f", "-", text=DEPLOYMENT)
    assert kubectl("get", "deployment", "web", "-o", "jsonpath={.metadata.uid}") != uid


def test_label_annotate_set_and_autoscale(kubectl):
    kubectl("create", "-f", "-", text=DEPLOYMENT)
    kubectl("label", "deployment", "web", "team=blue")
    kubectl("annotate", "deployment", "web", "note=x")
    kubectl("label", "deployment", "web", "team=red", "--overwrite")
    kubectl("set", "image", "deployment/web", "nginx=nginx:1.29")
    kubectl("set", "env", "deployment/web", "COLOUR=green")
    kubectl("set", "resources", "deployment/web", "--limits=cpu=100m,memory=64Mi")
    kubectl("set", "serviceaccount", "deployment/web", "default")
    kubectl("autoscale", "deployment/web", "--max=5", "--cpu=50%")
    found = json.loads(kubectl("get", "deployment", "web", "-o", "json"))
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "nginx:1.29"
    assert container["env"] == [{"name": "COLOUR", "value": "green"}]
    assert container["resources"]["limits"] == {"cpu": "100m", "memory": "64Mi"}
    assert found["metadata"]["labels"]["team"] == "red"
    assert "Deployment/web" in kubectl("get", "hpa", "web")


def test_rollout_of_a_deployment(kubectl, refused):
    kubectl("create", "-f", "-", text=DEPLOYMENT)
    kubectl("annotate", "deployment/web", "kubernetes.io/change-cause=first")
    kubectl("wait", "--for=create", "rs", "-l", "app=web")
    kubectl("rollout", "pause", "deployment/web")
    assert "already paused" in refused("rollout", "pause", "deployment/web")
    kubectl("rollout", "resume", "deployment/web")
    kubectl("rollout", "restart", "deployment/web")
    stamp = "jsonpath={.spec.template.metadata.annotations.kubectl\\.kubernetes\\.io/restartedAt}"
    assert kubectl("get", "deployment", "web", "-o", stamp)
    second = "{.metadata.annotations.deployment\\.kubernetes\\.io/revision}=2"
    kubectl("wait", f"--for=jsonpath={second}", "deployment/web", "--timeout=30s")
    history = kubectl("rollout", "history", "deployment/web")
    assert "REVISION" in history
    kubectl("rollout", "undo", "deployment/web")
    assert not kubectl("get", "deployment", "web", "-o", stamp)


def test_create_makes_what_its_help_names(kubectl):
    kubectl("create", "deployment", "d", "--image=web", "--port=80")
    kubectl("expose", "deployment", "d", "--port=80")
    kubectl("create", "service", "clusterip", "s1", "--tcp=80:80")
    kubectl("create", "service", "nodeport", "s2", "--tcp=80:80")
    kubectl("create", "service", "loadbalancer", "s3", "--tcp=80:80")
    kubectl("create", "service", "externalname", "s4", "--external-name=example.com")
    kubectl("create", "secret", "generic", "g", "--from-literal=a=b")
    kubectl("create", "secret", "docker-registry", "r", "--docker-server=registry.example",
            "--docker-username=u", "--docker-password=p")  # fmt: skip
    kubectl("create", "job", "j", "--image=busybox", "--", "true")
    kubectl("create", "cronjob", "c", "--image=busybox", "--schedule=@daily", "--", "true")
    kubectl("create", "job", "j2", "--from=cronjob/c")
    kubectl("create", "ingress", "i", "--rule=example.com/*=d:80")
    kubectl("create", "quota", "q", "--hard=pods=10")
    kubectl("create", "pdb", "b", "--selector=app=d", "--min-available=1")
    kubectl("create", "role", "r", "--verb=get", "--resource=pods")
    kubectl("create", "rolebinding", "rb", "--role=r", "--serviceaccount=default:default")
    kubectl("create", "serviceaccount", "a")
    assert kubectl("create", "token", "a").count(".") == 2
    kubectl("delete", "all,ingress,quota,pdb,role,rolebinding", "--all", "--wait=false")


def test_cluster_scoped_things(kubectl):
    kubectl("create", "clusterrole", "t-cr", "--verb=get,list", "--resource=nodes")
    kubectl("create", "clusterrolebinding", "t-crb", "--clusterrole=t-cr", "--user=jane")
    kubectl("create", "priorityclass", "t-pc", "--value=10")
    assert kubectl("auth", "can-i", "list", "nodes", "--as=jane") == "yes\n"
    kubectl("delete", "clusterrole/t-cr", "clusterrolebinding/t-crb", "priorityclass/t-pc")


def test_auth(kubectl, control_plane, namespace):
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"
    with pytest.raises(subprocess.CalledProcessError) as no:
        control_plane.kubectl("-n", namespace, "auth", "can-i", "create", "pods", "--as=nobody")
    assert no.value.stdout == "no\n"
    assert "*.*" in kubectl("auth", "can-i", "--list")
    assert "kubernetes-admin" in kubectl("auth", "whoami")
    role = f"""
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: reconciled, namespace: {namespace}}}
rules: [{{apiGroups: [""], resources: [pods], verbs: [get]}}]
"""
    kubectl("auth", "reconcile", "-f", "-", text=role)
    assert kubectl("get", "role", "reconciled", "-o", "jsonpath={.rules[0].verbs[0]}") == "get"


def test_what_there_is(kubectl):
    resources = kubectl("api-resources", "--no-headers")
    for name in ("pods", "deployments", "customresourcedefinitions", "flowschemas", "ingresses"):
        assert f"\n{name} " in f"\n{resources}"
    assert "po " in kubectl("api-resources", "--api-group=")
    assert set(kubectl("api-versions").split()) >= {"v1", "apps/v1", "batch/v1"}
    explained = kubectl("explain", "pod.spec.containers", "--recursive")
    assert "terminationMessagePath" in explained
    assert "KIND:       Deployment" in kubectl("explain", "deployment.spec.strategy")
    legacy = kubectl("explain", "service.spec", "--output=plaintext-openapiv2")
    assert "clusterIP" in legacy


def test_events(kubectl):
    kubectl("create", "-f", "-", text=DEPLOYMENT)
    kubectl("wait", "--for=create", "rs", "-l", "app=web")
    kubectl("wait", "--for=create", "event", "--field-selector=reason=ScalingReplicaSet")
    assert "ScalingReplicaSet" in kubectl("events", "--for=deployment/web")
    assert "ScalingReplicaSet" in kubectl("get", "events", "--sort-by=.metadata.creationTimestamp")


def test_taint_cordon_and_drain(kubectl, node):
    kubectl("taint", "node", node, "dedicated=us:NoSchedule")
    taints = "jsonpath={.spec.taints[?(@.key=='dedicated')].effect}"
    assert kubectl("get", "node", node, "-o", taints) == "NoSchedule"
    kubectl("taint", "node", node, "dedicated-")
    kubectl("cordon", node)
    assert "SchedulingDisabled" in kubectl("get", "node", node)
    kubectl("uncordon", node)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": "i"}],
        },
    }
    kubectl("create", "-f", "-", text=json.dumps(pod))
    said = kubectl("drain", node, "--force", "--ignore-daemonsets", "--timeout=30s")
    assert "evict" in said
    assert "drained" in said
    assert not kubectl("get", "pod", "p", "--ignore-not-found")


def test_certificates_are_approved_and_denied(kubectl):
    for name, verb, condition in (("good", "approve", "Approved"), ("bad", "deny", "Denied")):
        request = {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": {
                "request": signing_request(),
                "signerName": "example.com/test",
                "usages": ["client auth"],
            },
        }
        kubectl("create", "-f", "-", text=json.dumps(request))
        kubectl("certificate", verb, name)
        assert condition in kubectl("get", "csr", name)
        kubectl("delete", "csr", name)


def test_kustomize(kubectl, tmp_path):
    (tmp_path / "deployment.yaml").write_text(DEPLOYMENT)
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [deployment.yaml]\nnamePrefix: pre-\nreplicas: [{name: web, count: 3}]\n"
    )
    assert "name: pre-web" in kubectl("kustomize", str(tmp_path))
    kubectl("apply", "-k", str(tmp_path))
    assert kubectl("get", "deployment", "pre-web", "-o", "jsonpath={.spec.replicas}") == "3"
    kubectl("delete", "-k", str(tmp_path))


def test_wait_and_its_end(kubectl, refused):
    kubectl("create", "configmap", "c")
    kubectl("wait", "--for=create", "configmap/c", "--timeout=10s")
    kubectl("delete", "configmap", "c", "--wait=false")
    kubectl("wait", "--for=delete", "configmap/c", "--timeout=10s")
    kubectl("run", "p", "--image=i")
    assert "timed out" in refused("wait", "--for=condition=Ready", "pod/p", "--timeout=1s")


def test_top_says_what_is_missing(refused):
    assert "Metrics API not available" in refused("top", "nodes")


def test_config_and_raw(kubectl, control_plane):
    assert control_plane.url in kubectl("config", "view", "--minify")
    assert kubectl("config", "current-context") == "pilothouse\n"
    assert kubectl("get", "--raw", "/readyz") == "ok"
    assert "apiserver_request_total" in kubectl("get", "--raw", "/metrics")
    assert json.loads(kubectl("get", "--raw", "/version"))["minor"] == "37"


def test_delete_in_every_form(kubectl, refused):
    for number in range(6):
        kubectl("create", "configmap", f"c{number}", f"--from-literal=n={number}")
        kubectl("label", "configmap", f"c{number}", f"even={number % 2 == 0}".lower())
    kubectl("delete", "configmap", "c0", "--now")
    kubectl("delete", "configmap", "-l", "even=true")
    assert "NotFound" in refused("delete", "configmap", "c2")
    kubectl("delete", "configmap", "c1", "--dry-run=server")
    assert "c1" in kubectl("get", "cm")
    kubectl("delete", "configmap", "--field-selector=metadata.name=c1")
    kubectl("delete", "configmap", "c3", "--cascade=orphan", "--grace-period=0", "--force")
    left = kubectl("get", "cm", "-o", "name").split()
    assert left == ["configmap/c5", "configmap/kube-root-ca.crt"]


def test_bad_input_is_named(refused):
    assert "unknown field" in refused("create", "-f", "-", text=DEPLOYMENT + "  colour: red\n")
    bare = DEPLOYMENT.replace("name: nginx, ", "")
    assert "spec.template.spec.containers[0].name: Required value" in refused(
        "create", "-f", "-", text=bare
    )


def test_kubectl_comes_with_pilothouse(control_plane):
    environment = {**os.environ, "KUBECONFIG": str(control_plane.kubeconfig)}
    pilothouse = Path(sys.executable).with_name("pilothouse")
    done = subprocess.run(
        [pilothouse, "kubectl", "get", "namespaces", "-o", "name"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "namespace/default" in done.stdout
