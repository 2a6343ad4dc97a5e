"""Typed clients, which send their objects as protobuf: kubectl's create, auth, token and drain."""

import base64
import json

import pytest

POD = """
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"app": "p"}}, "spec":
 {"containers": [{"name": "c", "image": "i"}], "nodeName": "worker"}}
"""
NODE = """
{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "worker"}}
"""


def created(api, namespace, resource, name):
    return json.loads(api.kubectl("get", resource, name, "-n", namespace, "-o", "json"))


def test_a_namespace_is_created(api):
    api.kubectl("create", "namespace", "by-protobuf")
    found = api.get("/api/v1/namespaces/by-protobuf").json
    assert found["metadata"]["labels"] == {"kubernetes.io/metadata.name": "by-protobuf"}
    assert found["spec"] == {"finalizers": ["kubernetes"]}
    assert "creationTimestamp" in found["metadata"]


@pytest.mark.parametrize(
    ("arguments", "path", "wanted"),
    [
        ("deployment d --image=nginx --replicas=0 --port=80", ("spec", "replicas"), 0),
        ("deployment e --image=nginx", ("spec", "template", "spec", "containers", 0, "name"),
         "nginx"),
        ("configmap c --from-literal=a=b --from-literal=empty=", ("data",),
         {"a": "b", "empty": ""}),
        ("serviceaccount s", ("metadata", "name"), "s"),
        ("role r --verb=get,list --resource=pods", ("rules",),
         [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]),
        ("rolebinding rb --role=r --user=eve", ("subjects",),
         [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "eve"}]),
        ("clusterrole cr --verb=get --non-resource-url=/healthz", ("rules",),
         [{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}]),
        ("clusterrolebinding crb --clusterrole=view --serviceaccount=a:b", ("subjects",),
         [{"kind": "ServiceAccount", "name": "b", "namespace": "a"}]),
        ("service clusterip si --tcp=80:8080", ("spec", "ports"),
         [{"name": "80-8080", "protocol": "TCP", "port": 80, "targetPort": 8080}]),
        ("service externalname sx --external-name=a.b --tcp=80", ("spec", "externalName"), "a.b"),
        ("job j --image=busybox -- true", ("spec", "template", "spec", "restartPolicy"), "Never"),
        ("cronjob cj --image=busybox --schedule=1@*@*@*@*", ("spec", "schedule"), "1 * * * *"),
        ("quota q --hard=cpu=1000m,pods=2", ("spec", "hard"), {"cpu": "1", "pods": "2"}),
        ("poddisruptionbudget pdb --selector=a=b --min-available=50%",
         ("spec", "minAvailable"), "50%"),
        ("poddisruptionbudget pdb1 --selector=a=b --max-unavailable=0",
         ("spec", "maxUnavailable"), 0),
        ("ingress i --rule=a.b/c*=svc:80", ("spec", "rules"),
         [{"host": "a.b", "http": {"paths": [{"path": "/c", "pathType": "Prefix", "backend":
           {"service": {"name": "svc", "port": {"number": 80}}}}]}}]),
        ("priorityclass high --value=7", ("value",), 7),
    ],
    ids=lambda value: value.split()[0] if isinstance(value, str) and "-" in value else None,
)  # fmt: skip
def test_kubectl_creates(api, namespace, arguments, path, wanted):
    words = [word.replace("@", " ") for word in arguments.split()]
    api.kubectl("-n", namespace, "create", *words)
    kind = words[0]
    name = words[2] if kind == "service" else words[1]
    found = created(api, namespace, kind, name)
    for part in path:
        found = found[part]
    assert found == wanted


def test_a_secret_keeps_its_octets(api, namespace):
    api.kubectl("create", "secret", "generic", "s", "--from-literal=k=v", "-n", namespace)
    found = created(api, namespace, "secret", "s")
    assert base64.b64decode(found["data"]["k"]) == b"v"
    assert found["type"] == "Opaque"


def test_reviews_and_tokens(api, namespace):
    assert api.kubectl("auth", "can-i", "create", "pods", "-n", namespace) == "yes\n"
    api.kubectl("auth", "can-i", "create", "pods", "--as=nobody", "-n", namespace, fails=True)
    assert "kubernetes-admin" in api.kubectl("auth", "whoami")
    assert "*.*" in api.kubectl("auth", "can-i", "--list", "-n", namespace)
    token = api.kubectl("create", "token", "default", "-n", namespace, "--duration=10m").strip()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["sub"] == f"system:serviceaccount:{namespace}:default"


def test_a_drain_evicts(api, namespace):
    api.kubectl("create", "-f", "-", stdin=NODE)
    api.kubectl("create", "-n", namespace, "-f", "-", stdin=POD)
    drained = api.kubectl("drain", "worker", "--force", "--timeout=10s", "--grace-period=0")
    assert "node/worker drained" in drained
    assert api.get("/api/v1/nodes/worker").json["spec"]["unschedulable"] is True
    api.kubectl("delete", "node", "worker")
