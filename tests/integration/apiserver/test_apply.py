"""kubectl's ways to apply, and plain requests, against a real server."""

import json

import pytest

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {{app: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
        - name: web
          image: {image}
"""
WEB = DEPLOYMENT.format(replicas=1, image="nginx:1.29")
MORE = DEPLOYMENT.format(replicas=3, image="nginx:1.29")
YAML = {"Content-Type": "application/apply-patch+yaml"}


@pytest.fixture
def here(api, namespace):
    def kubectl(*arguments, **options):
        return api.kubectl("-n", namespace, *arguments, **options)

    return kubectl


def managers(kubectl, *what):
    shown = json.loads(kubectl("get", *what, "-o", "json", "--show-managed-fields"))
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): entry["fieldsV1"]
        for entry in shown["metadata"]["managedFields"]
    }


def test_server_side_apply(here):
    assert here("apply", "--server-side", "-f", "-", stdin=WEB).endswith("serverside-applied\n")
    before = json.loads(here("get", "deployment", "web", "-o", "json"))
    assert "managedFields" not in before["metadata"]
    here("apply", "--server-side", "-f", "-", stdin=WEB)
    after = json.loads(here("get", "deployment", "web", "-o", "json"))
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert list(managers(here, "deployment", "web")) == [("kubectl", "Apply", "")]


def test_a_conflict_and_force(here):
    here("apply", "--server-side", "-f", "-", stdin=WEB)
    here("scale", "deployment/web", "--replicas=2")
    refused = here("apply", "--server-side", "-f", "-", stdin=MORE, fails=True)
    assert (
        'conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas' in refused
    )
    here("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=MORE)
    found = managers(here, "deployment", "web")
    assert list(found) == [("kubectl", "Apply", "")]
    assert found[("kubectl", "Apply", "")]["f:spec"]["f:replicas"] == {}


def test_apply_from_the_clients_side_and_then_from_the_servers(here):
    here("apply", "-f", "-", stdin=WEB)
    here("apply", "-f", "-", stdin=MORE)
    assert ("kubectl-client-side-apply", "Update", "") in managers(here, "deployment", "web")
    here("apply", "--server-side", "-f", "-", stdin=WEB)
    # kubectl makes the annotation an applier's of its own, and its old entry one of Apply.
    found = managers(here, "deployment", "web")
    assert set(found) == {("kubectl", "Apply", ""), ("kubectl-last-applied", "Apply", "")}
    shown = json.loads(here("get", "deployment", "web", "-o", "json"))
    annotation = "kubectl.kubernetes.io/last-applied-configuration"
    assert '"replicas":1' in shown["metadata"]["annotations"][annotation]
    here("apply", "-f", "-", stdin=MORE)
    assert here("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "3"


def test_diff(here, tmp_path, monkeypatch):
    # kubectl ends with 1 where there is a difference; this one only prints it.
    program = tmp_path / "show"
    program.write_text('#!/bin/sh\ndiff -u -N "$@"\nexit 0\n')
    program.chmod(0o700)
    monkeypatch.setenv("KUBECTL_EXTERNAL_DIFF", str(program))
    here("apply", "--server-side", "-f", "-", stdin=WEB)
    assert here("diff", "--server-side", "-f", "-", stdin=WEB) == ""
    changed = here("diff", "--server-side", "-f", "-", stdin=MORE)
    assert "-  replicas: 1" in changed
    assert "+  replicas: 3" in changed
    assert "+  replicas: 3" in here("diff", "-f", "-", stdin=MORE)
    assert here("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "1"


def test_edit_and_replace(here, monkeypatch):
    here("create", "-f", "-", stdin=WEB)
    monkeypatch.setenv("KUBE_EDITOR", "sed -i 's/replicas: 1/replicas: 4/'")
    here("edit", "deployment", "web")
    found = managers(here, "deployment", "web")
    assert found[("kubectl-edit", "Update", "")]["f:spec"] == {"f:replicas": {}}
    assert ("kubectl-create", "Update", "") in found
    here("replace", "-f", "-", stdin=MORE)
    found = managers(here, "deployment", "web")
    assert found[("kubectl-replace", "Update", "")]["f:spec"] == {"f:replicas": {}}
    assert ("kubectl-edit", "Update", "") not in found
    here("replace", "--force", "-f", "-", stdin=WEB)
    assert here("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "1"


def test_a_dry_run_is_nothing(here):
    here("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=WEB)
    assert "NotFound" in here("get", "deployment", "web", fails=True)


def test_two_people_share_a_config_map(here):
    one = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"}}'
    other = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"b":"2"}}'
    here("apply", "--server-side", "--field-manager=one", "-f", "-", stdin=one)
    here("apply", "--server-side", "--field-manager=two", "-f", "-", stdin=other)
    assert json.loads(here("get", "cm", "c", "-o", "jsonpath={.data}")) == {"a": "1", "b": "2"}
    here("apply", "--server-side", "--field-manager=one", "-f", "-",
         stdin=one.replace(',"data":{"a":"1"}', ""))  # fmt: skip
    assert json.loads(here("get", "cm", "c", "-o", "jsonpath={.data}")) == {"b": "2"}


def test_plain_requests(api, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps/c"
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"
    refused = api.request("PATCH", path, body, headers=YAML)
    assert refused.code == 422
    assert refused.json["message"] == (
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for '
        "apply patch"
    )
    assert api.request("PATCH", f"{path}?fieldManager=m", body, headers=YAML).code == 201
    assert api.request("PATCH", f"{path}?fieldManager=m", body, headers=YAML).code == 200
    assert api.request("PATCH", f"{path}?fieldManager=m", b"[", headers=YAML).code == 400
    flow = b"{apiVersion: v1, kind: ConfigMap, data: {a: c}}"
    assert api.request("PATCH", f"{path}?fieldManager=m", flow, headers=YAML).json["data"] == {
        "a": "c"
    }
    forced = api.request("PATCH", f"{path}?force=true", {}, headers={
        "Content-Type": "application/merge-patch+json"})  # fmt: skip
    assert "force: Forbidden: may not be specified for non-apply patch" in forced.json["message"]
    cbor = {"Content-Type": "application/apply-patch+cbor"}
    assert api.request("PATCH", f"{path}?fieldManager=m", b"\xa0", headers=cbor).code == 415


def test_the_manager_is_the_program_where_nobody_is_named(api, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    body = {"metadata": {"name": "c"}, "data": {"a": "b"}}
    made = api.request("POST", path, body, headers={"User-Agent": "robot/1.0 (linux)"})
    assert made.json["metadata"]["managedFields"][0]["manager"] == "robot"
    changed = api.request(
        "PATCH", f"{path}/c?fieldManager=hand", {"data": {"a": "c"}},
        headers={"Content-Type": "application/merge-patch+json"},
    )  # fmt: skip
    found = {entry["manager"]: entry for entry in changed.json["metadata"]["managedFields"]}
    assert found["hand"]["fieldsV1"] == {"f:data": {"f:a": {}}}
    assert found["robot"]["fieldsV1"] == {"f:data": {}}
    long = "x" * 129
    refused = api.request("POST", f"{path}?fieldManager={long}", body)
    assert refused.code == 422
    assert "fieldManager: Too long" in refused.json["message"]


def test_protobuf_carries_managed_fields(api, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    api.request("POST", f"{path}?fieldManager=m", {"metadata": {"name": "c"}, "data": {"a": "b"}})
    accept = {"Accept": "application/vnd.kubernetes.protobuf"}
    raw = api.get(f"{path}/c", headers=accept).body
    assert b'{"f:data":{".":{},"f:a":{}}}' in raw
    sent = {**accept, "Content-Type": "application/vnd.kubernetes.protobuf"}
    back = api.request("PUT", f"{path}/c", raw, headers=sent)
    assert back.code == 200
    assert back.body == raw
