"""Typed clients, which send their objects as protobuf: kubectl's create, auth, token and drain.

And clients that take nothing but protobuf.
"""

import base64
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pilothouse.services.machinery.protobuf import envelope

ONLY = {"Accept": envelope.MEDIA_TYPE}
MAPS = "/api/v1/namespaces/default/configmaps"

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


def test_autoscalers_are_created(api, namespace):
    api.kubectl("-n", namespace, "create", "deployment", "d", "--image=nginx")
    api.kubectl("-n", namespace, "autoscale", "deployment", "d", "--min=2", "--max=3", "--cpu=50%")
    spec = created(api, namespace, "hpa", "d")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 3)
    target = {"type": "Utilization", "averageUtilization": 50}
    assert spec["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def test_a_certificate_is_approved(api):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "eve")])
    asked = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    request = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "eve"},
        "spec": {
            "request": base64.b64encode(asked.public_bytes(Encoding.PEM)).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
        },
    }
    api.kubectl("create", "-f", "-", stdin=json.dumps(request))
    api.kubectl("certificate", "approve", "eve")
    (condition,) = api.get("/apis/certificates.k8s.io/v1/certificatesigningrequests/eve").json[
        "status"
    ]["conditions"]
    assert (condition["type"], condition["status"]) == ("Approved", "True")


def test_a_drain_evicts(api, namespace):
    api.kubectl("create", "-f", "-", stdin=NODE)
    api.kubectl("create", "-n", namespace, "-f", "-", stdin=POD)
    drained = api.kubectl("drain", "worker", "--force", "--timeout=10s", "--grace-period=0")
    assert "node/worker drained" in drained
    assert api.get("/api/v1/nodes/worker").json["spec"]["unschedulable"] is True
    api.kubectl("delete", "node", "worker")


def config_map(name, **more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


def unpacked(answer, code=200):
    assert answer.code == code, answer.body
    assert answer.headers["Content-Type"] == envelope.MEDIA_TYPE
    return envelope.decode(answer.body)


def test_protobuf_answers_to_who_takes_nothing_else(api):
    body = config_map("answer", data={"a": ""}, binaryData={"b": "AAE="}, immutable=False)
    made = unpacked(api.request("POST", MAPS, body, headers=ONLY), 201)
    assert made == api.get(f"{MAPS}/answer").json
    shape = {"Accept": f"{envelope.MEDIA_TYPE};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
    partial = unpacked(api.get(f"{MAPS}/answer", headers=shape))
    assert (partial["kind"], partial["metadata"]) == ("PartialObjectMetadata", made["metadata"])
    gone = unpacked(api.request("DELETE", f"{MAPS}/answer", headers=ONLY))
    assert (gone["kind"], gone["status"]) == ("Status", "Success")
    missing = unpacked(api.get(f"{MAPS}/answer", headers=ONLY), 404)
    assert (missing["reason"], missing["details"]["name"]) == ("NotFound", "answer")
    table = {"Accept": f"{envelope.MEDIA_TYPE};as=Table;g=meta.k8s.io;v=v1"}
    assert unpacked(api.get(MAPS, headers=table), 406)["reason"] == "NotAcceptable"


def test_a_protobuf_body_and_a_protobuf_answer(api):
    headers = {"Content-Type": envelope.MEDIA_TYPE, **ONLY}
    body = envelope.encode(config_map("both", data={"a": "b"}))
    made = unpacked(api.request("POST", MAPS, body, headers=headers), 201)
    made["data"]["a"] = "c"
    path = f"{MAPS}/both"
    assert unpacked(api.request("PUT", path, envelope.encode(made), headers=headers))["data"] == {
        "a": "c"
    }
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "another"}}
    body = envelope.encode(options)
    assert unpacked(api.request("DELETE", path, body, headers=headers), 409)["reason"] == "Conflict"
    assert api.request("POST", MAPS, b"k8s\0\xff", headers=headers).code == 400
    assert api.request("POST", MAPS, b"{}", headers=headers).code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces", "/api/v1/services", "/api/v1/serviceaccounts",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles", "/apis/apps/v1/deployments",
        "/apis/batch/v1/cronjobs", "/apis/networking.k8s.io/v1/ingresses",
        "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
    ],
)  # fmt: skip
def test_lists_say_the_same_in_both(api, path):
    plain = api.get(path).json
    lists = unpacked(api.get(path, headers=ONLY))
    for item in plain["items"]:
        item.pop("kind", None)
        item.pop("apiVersion", None)
    assert [full(item) for item in lists["items"]] == [full(item) for item in plain["items"]]


def full(value):
    """The value without empty objects, lists and texts: the wire may not tell them from none."""
    if isinstance(value, dict):
        kept = {key: full(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner not in ({}, [], "")}
    return [full(inner) for inner in value] if isinstance(value, list) else value


def frames(stream):
    while stream:
        size = int.from_bytes(stream[:4], "big")
        yield stream[4 : 4 + size]
        stream = stream[4 + size :]


def test_a_watch_of_frames(api):
    api.request("POST", MAPS, config_map("framed"))
    query = "watch=true&timeoutSeconds=1&sendInitialEvents=true&allowWatchBookmarks=true"
    query += "&resourceVersionMatch=NotOlderThan&fieldSelector=metadata.name=framed"
    answer = api.get(f"{MAPS}?{query}", headers=ONLY)
    assert answer.headers["Content-Type"] == f"{envelope.MEDIA_TYPE};stream=watch"
    added, bookmark = frames(answer.body)
    # WatchEvent{type, object: RawExtension{raw}}, the object in an envelope of its own.
    assert added.startswith(b"\x0a\x05ADDED\x12")
    found = envelope.decode(added[added.index(envelope.MAGIC) :])
    assert found == api.get(f"{MAPS}/framed").json
    assert bookmark.startswith(b"\x0a\x08BOOKMARK\x12")
    ended = envelope.decode(bookmark[bookmark.index(envelope.MAGIC) :])
    assert ended["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
