"""Definitions in the shape of real projects', through kubectl and the dynamic Python client."""

import json

import kubernetes
import pytest
import yaml
from kit.definitions import crd, version

CONDITIONS = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
    "items": {
        "type": "object",
        "required": ["type", "status"],
        "properties": {
            "type": {"type": "string"},
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "reason": {"type": "string"},
            "lastTransitionTime": {"type": "string", "format": "date-time"},
        },
    },
}
CERTIFICATE = {
    "type": "object",
    "description": "A certificate that somebody shall keep valid.",
    "required": ["spec"],
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": {
            "type": "object",
            "required": ["secretName", "issuerRef"],
            "properties": {
                "secretName": {"type": "string", "description": "Where the key pair goes."},
                "duration": {"type": "string", "format": "duration"},
                "dnsNames": {"type": "array", "items": {"type": "string"}},
                "revisionHistoryLimit": {"type": "integer", "format": "int32", "minimum": 1},
                "issuerRef": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string"},
                        "kind": {"type": "string", "default": "Issuer"},
                    },
                },
                "privateKey": {
                    "type": "object",
                    "properties": {
                        "algorithm": {"type": "string", "enum": ["RSA", "ECDSA", "Ed25519"]},
                        "size": {"type": "integer"},
                    },
                },
            },
        },
        "status": {"type": "object", "properties": {"conditions": CONDITIONS}},
    },
}
WORKFLOW = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "entrypoint": {"type": "string"},
                "arguments": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "timeout": {"x-kubernetes-int-or-string": True},
                "manifest": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "x-kubernetes-preserve-unknown-fields": True,
                },
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}


def certificates():
    columns = [
        {"name": "Ready", "type": "string",
         "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Secret", "type": "string", "jsonPath": ".spec.secretName"},
        {"name": "Issuer", "type": "string", "jsonPath": ".spec.issuerRef.name", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]  # fmt: skip
    made = version(
        schema=CERTIFICATE, subresources={"status": {}}, additionalPrinterColumns=columns
    )
    names = {"shortNames": ["cert", "certs"], "categories": ["all", "cert-manager"]}
    return crd("certificates", "Certificate", "cert.example.com", names=names, versions=[made])


def certificate(name, **spec):
    return {
        "apiVersion": "cert.example.com/v1",
        "kind": "Certificate",
        "metadata": {"name": name},
        "spec": {"secretName": f"{name}-tls", "issuerRef": {"name": "ca"}, **spec},
    }


@pytest.fixture(scope="module")
def defined(api):
    for definition in (
        certificates(),
        crd("workflows", "Workflow", "argo.example.com", versions=[version(schema=WORKFLOW)]),
    ):
        api.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(definition))
        name = definition["metadata"]["name"]
        api.kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=10s")
    return api


def test_kubectl_works_with_a_custom_kind(defined):
    api = defined
    assert "certificates" in api.kubectl("api-resources", "--api-group=cert.example.com")
    api.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(certificate("web", dnsNames=["a.b"])))
    table = api.kubectl("get", "cert", "web")
    assert table.split()[:4] == ["NAME", "READY", "SECRET", "AGE"]
    assert "web-tls" in table
    assert "ISSUER" in api.kubectl("get", "certs", "-o", "wide")
    assert "certificate.cert.example.com/web" in api.kubectl("get", "all", "-o", "name")
    ready = [{"type": "Ready", "status": "True"}]
    api.kubectl("patch", "cert", "web", "--subresource=status", "--type=merge",
                "-p", json.dumps({"status": {"conditions": ready}}))  # fmt: skip
    assert api.kubectl("get", "cert", "web", "--no-headers").split()[1] == "True"
    api.kubectl("wait", "--for=condition=Ready", "cert/web", "--timeout=5s")
    api.kubectl("label", "cert", "web", "tier=front")
    assert api.kubectl("get", "cert", "-l", "tier=front", "-o", "name").strip().endswith("/web")
    said = api.kubectl(
        "explain", "certificates.spec.secretName", "--api-version=cert.example.com/v1"
    )
    assert "Where the key pair goes." in said
    assert "Issuer" in api.kubectl("describe", "cert", "web")
    api.kubectl("delete", "cert", "web")


def test_what_is_wrong_is_said_by_kubectl(defined):
    body = certificate("bad", privateKey={"algorithm": "DSA"}, duration="long")
    told = defined.kubectl("create", "--validate=false", "-f", "-", stdin=yaml.safe_dump(body),
                           fails=True)  # fmt: skip
    assert 'spec.privateKey.algorithm: Unsupported value: "DSA"' in told
    assert 'supported values: "RSA", "ECDSA", "Ed25519"' in told
    assert 'spec.duration in body must be of type duration: "long"' in told
    body = certificate("bad", colour="red")
    told = defined.kubectl("create", "-f", "-", stdin=yaml.safe_dump(body), fails=True)
    assert 'unknown field "spec.colour"' in told
    del body["spec"]["colour"], body["spec"]["secretName"]
    told = defined.kubectl("create", "-f", "-", stdin=yaml.safe_dump(body), fails=True)
    assert "spec.secretName: Required value" in told
    told = defined.kubectl("patch", "cert", "x", "-p", "{}", "--type=strategic", fails=True)
    assert "not found" in told


def test_applying_on_the_server_merges_by_the_schema(defined):
    api = defined
    text = yaml.safe_dump(certificate("ssa", dnsNames=["a"]))
    api.kubectl("apply", "--server-side", "--field-manager=one", "-f", "-", stdin=text)
    other = {**certificate("ssa"), "spec": {"revisionHistoryLimit": 3}}
    api.kubectl("apply", "--server-side", "--field-manager=two", "--validate=false", "-f", "-",
                stdin=yaml.safe_dump(other))  # fmt: skip
    found = json.loads(api.kubectl("get", "cert", "ssa", "-o", "json", "--show-managed-fields"))
    assert found["spec"]["revisionHistoryLimit"] == 3
    assert found["spec"]["dnsNames"] == ["a"]
    assert {entry["manager"] for entry in found["metadata"]["managedFields"]} == {"one", "two"}
    clash = {**certificate("ssa"), "spec": {"revisionHistoryLimit": 4}}
    told = api.kubectl("apply", "--server-side", "--field-manager=one", "--validate=false", "-f",
                       "-", stdin=yaml.safe_dump(clash), fails=True)  # fmt: skip
    assert 'conflict with "two"' in told
    assert ".spec.revisionHistoryLimit" in told


def test_the_dynamic_client_creates_watches_and_deletes(defined, tmp_path):
    client = kubernetes.config.new_client_from_config(str(defined.folder / "admin.conf"))
    dynamic = kubernetes.dynamic.DynamicClient(client, cache_file=str(tmp_path / "discovery"))
    kind = dynamic.resources.get(api_version="argo.example.com/v1", kind="Workflow")
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "what": 1}, "spec": {}}
    spec = {"entrypoint": "main", "arguments": {"any": [1, {"b": None}]}, "timeout": "5m",
            "manifest": manifest, "labels": {"a": "b"}}  # fmt: skip
    body = {"apiVersion": "argo.example.com/v1", "kind": "Workflow", "metadata": {"name": "w"},
            "spec": spec, "status": {"phase": {"free": True}}}  # fmt: skip
    made = kind.create(body=body, namespace="default").to_dict()
    assert made["spec"]["arguments"] == {"any": [1, {"b": None}]}
    assert made["spec"]["manifest"]["metadata"] == {"name": "x"}
    assert made["status"] == {"phase": {"free": True}}
    kind.patch(
        name="w", namespace="default", body={"spec": {"timeout": 7}},
        content_type="application/merge-patch+json",
    )  # fmt: skip
    kind.delete(name="w", namespace="default")
    seen = [made["metadata"]["resourceVersion"]]
    types = []
    for event in kind.watch(namespace="default", resource_version=seen[0], timeout=3):
        types.append(event["type"])
        if event["type"] == "DELETED":
            break
    assert types == ["MODIFIED", "DELETED"]


def test_gone_with_its_definition(defined):
    api = defined
    api.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(crd("ends", "End", "end.example.com")))
    api.kubectl("wait", "--for=condition=Established", "crd/ends.end.example.com")
    body = {"apiVersion": "end.example.com/v1", "kind": "End", "metadata": {"name": "one"}}
    api.kubectl("create", "-f", "-", stdin=yaml.safe_dump(body))
    api.kubectl("delete", "crd", "ends.end.example.com")
    assert api.request("GET", "/apis/end.example.com/v1/namespaces/default/ends").code == 404
    assert api.request("GET", "/apis/end.example.com").code == 404
    assert "end.example.com" not in api.kubectl("api-versions")
