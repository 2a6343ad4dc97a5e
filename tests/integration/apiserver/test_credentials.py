"""Who is let in, as whom, and what they may do there."""

import json

import pytest

from pilothouse.ops.pki.authority import Authority
from pilothouse.ops.pki.plan import Certificate
from pilothouse.services.runtime.clock import SystemClock

REVIEWS = "/apis/authorization.k8s.io/v1"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
TOKEN = "/api/v1/namespaces/default/serviceaccounts/default/token"


def status_of(answer):
    return answer.code, answer.reason


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def token(api):
    answer = api.request("POST", TOKEN, {"spec": {}})
    assert answer.code == 201, answer.body
    return answer.json["status"]["token"]


def test_nobody_is_told_only_of_health_and_version(api):
    for path in ("/healthz", "/livez", "/readyz", "/readyz?verbose", "/version", "/livez/ping"):
        assert api.get(path, user="").code == 200, path
    for path in ("/api", "/apis", "/api/v1/pods", "/openapi/v3", "/metrics", "/", "/nonsense"):
        assert status_of(api.get(path, user="")) == (401, "Unauthorized"), path


def test_a_foreign_certificate_is_refused(api, tmp_path):
    foreign = Authority.open(tmp_path / "pki", SystemClock())
    foreign.ensure(Certificate("intruder", "kubernetes-admin", "system:masters"))
    for end in ("crt", "key"):
        (api.pki / f"intruder.{end}").write_bytes((tmp_path / f"pki/intruder.{end}").read_bytes())
    answer = api.get("/api/v1/namespaces", user="intruder")
    assert status_of(answer) == (401, "Unauthorized")


def test_certificates_name_users_and_groups(api):
    info = api.request("POST", WHO, {}, user="kubelet-node-1").json["status"]["userInfo"]
    assert info["username"] == "system:node:node-1"
    assert set(info["groups"]) == {"system:nodes", "system:authenticated"}


def test_a_token_is_its_account(api, token):
    info = api.request("POST", WHO, {}, user="", headers=bearer(token)).json["status"]["userInfo"]
    assert info["username"] == "system:serviceaccount:default:default"
    assert "system:serviceaccounts:default" in info["groups"]
    answer = api.get("/api/v1/namespaces/default/pods", user="", headers=bearer(token))
    assert status_of(answer) == (403, "Forbidden")
    assert (
        'cannot list resource "pods" in API group "" in the namespace "default"'
        in (answer.json["message"])
    )


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_forged_token_is_nobody(api, token, part):
    parts = token.split(".")
    parts[part] = parts[part][:-5] + ("AAAAA" if parts[part][-5:] != "AAAAA" else "BBBBB")
    answer = api.get("/api", user="", headers=bearer(".".join(parts)))
    assert status_of(answer) == (401, "Unauthorized")
    assert api.get("/api", user="", headers=bearer("rubbish")).code == 401


def test_a_token_dies_with_its_account(api, namespace):
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    made = api.request("POST", accounts, {"metadata": {"name": "short"}})
    assert made.code == 201, made.body
    issued = api.request("POST", f"{accounts}/short/token", {"spec": {}}).json["status"]["token"]
    assert api.get("/api", user="", headers=bearer(issued)).code == 200
    assert api.request("DELETE", f"{accounts}/short").code == 200
    assert api.get("/api", user="", headers=bearer(issued)).code == 401
    api.request("POST", accounts, {"metadata": {"name": "short"}})
    assert api.get("/api", user="", headers=bearer(issued)).code == 401


def test_tokens_are_reviewed(api, token):
    body = {"spec": {"token": token}}
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    status = api.request("POST", path, body).json["status"]
    assert status["authenticated"] is True
    assert status["user"]["username"] == "system:serviceaccount:default:default"
    elsewhere = {"spec": {"token": token, "audiences": ["elsewhere"]}}
    assert api.request("POST", path, elsewhere).json["status"]["authenticated"] is False


def test_too_short_a_token_is_invalid(api):
    answer = api.request("POST", TOKEN, {"spec": {"expirationSeconds": 60}})
    assert status_of(answer) == (422, "Invalid")


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ({"spec": {"expirationSeconds": 10}}, 422,
         "spec.expirationSeconds: Invalid value: 10: may not specify a duration less than"),
        ({"metadata": {"name": "x"}}, 422,
         'metadata.name: Invalid value: "x": must match the service account name'),
        ({"spec": {"boundObjectRef": {"kind": "Cat", "apiVersion": "v1", "name": "x"}}}, 400,
         'cannot bind token for serviceaccount "default" to object of type v1, Kind=Cat'),
        ({"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "x"}}}, 404,
         'pods "x" not found'),
    ],
)  # fmt: skip
def test_tokens_that_nobody_gets(api, body, code, told):
    answer = api.request("POST", TOKEN, body)
    assert answer.code == code
    assert told in answer.json["message"]


@pytest.mark.parametrize(
    ("plural", "spec", "told"),
    [
        ("selfsubjectaccessreviews", {},
         'SelfSubjectAccessReview.authorization.k8s.io "" is invalid: spec.resourceAttributes: '
         "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes"),
        ("subjectaccessreviews", {"resourceAttributes": {}, "nonResourceAttributes": {}},
         "spec.nonResourceAttributes: Invalid value: {}: cannot be specified in combination with"),
        ("subjectaccessreviews", {"resourceAttributes": {}},
         'spec.user: Invalid value: "": at least one of user or group must be specified'),
    ],
)  # fmt: skip
def test_questions_that_are_none(api, plural, spec, told):
    answer = api.request("POST", f"{REVIEWS}/{plural}", {"spec": spec})
    assert answer.code == 422
    assert told in answer.json["message"]


def test_roles_grant_and_their_deletion_takes_back(api, namespace, token):
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    rule = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps"]}
    role = {"metadata": {"name": "reader"}, "rules": [rule]}
    binding = {
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    }
    headers = bearer(token)
    assert api.get(path, user="", headers=headers).code == 403
    assert api.request("POST", f"{rbac}/roles", role).code == 201
    assert api.request("POST", f"{rbac}/rolebindings", binding).code == 201
    assert api.get(path, user="", headers=headers).code == 200
    other = api.request("POST", path, {"metadata": {"name": "x"}}, user="", headers=headers)
    assert other.code == 403
    assert api.request("DELETE", f"{rbac}/rolebindings/reader").code == 200
    assert api.get(path, user="", headers=headers).code == 403


def test_access_is_reviewed(api):
    asked = {"verb": "create", "resource": "pods", "namespace": "default"}
    own = api.request(
        "POST", f"{REVIEWS}/selfsubjectaccessreviews", {"spec": {"resourceAttributes": asked}}
    )
    assert own.json["status"]["allowed"] is True
    spec = {"user": "system:kube-scheduler", "resourceAttributes": asked}
    other = api.request("POST", f"{REVIEWS}/subjectaccessreviews", {"spec": spec})
    assert other.json["status"]["allowed"] is False
    spec["resourceAttributes"] = {**asked, "subresource": "binding"}
    other = api.request("POST", f"{REVIEWS}/subjectaccessreviews", {"spec": spec})
    assert other.json["status"]["allowed"] is True
    rules = api.request(
        "POST", f"{REVIEWS}/selfsubjectrulesreviews", {"spec": {"namespace": "default"}}
    )
    assert rules.json["status"]["resourceRules"][0]["verbs"] == ["*"]


def test_a_kubelet_works_on_itself_only(api, namespace):
    nodes = "/api/v1/nodes"
    for name in ("node-1", "node-2"):
        api.request("POST", nodes, {"metadata": {"name": name}})
    patch = {"Content-Type": "application/merge-patch+json"}
    status = {"status": {"nodeInfo": {}}}
    as_node = {"user": "kubelet-node-1", "headers": patch}
    label = {"metadata": {"labels": {"kubernetes.io/os": "linux"}}}
    assert api.request("PATCH", f"{nodes}/node-1", label, **as_node).code == 200
    assert api.request("PATCH", f"{nodes}/node-2", label, **as_node).code == 403
    assert api.request("PATCH", f"{nodes}/node-2/status", status, **as_node).code == 403
    assert api.get("/api/v1/pods", user="kubelet-node-1").code == 200
    assert api.get("/api/v1/secrets", user="kubelet-node-1").code == 403
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    made = api.request("POST", path, {"metadata": {"name": "used"}, "data": {"a": "b"}})
    assert made.code == 201
    assert api.get(f"{path}/used", user="kubelet-node-1").code == 403
    volume = {"name": "v", "configMap": {"name": "used"}}
    spec = {"nodeName": "node-1", "volumes": [volume], "containers": [{"name": "c", "image": "i"}]}
    pods = f"/api/v1/namespaces/{namespace}/pods"
    body = {"metadata": {"name": "p"}, "spec": spec}
    assert api.request("POST", pods, body).code == 201
    assert api.get(f"{path}/used", user="kubelet-node-1").code == 200
    phase = {"status": {"phase": "Running"}}
    assert api.request("PATCH", f"{pods}/p/status", phase, **as_node).code == 200
    gone = api.request("DELETE", f"{pods}/p", {"gracePeriodSeconds": 0}, user="kubelet-node-1")
    assert gone.code == 200


def test_impersonation_is_for_those_who_may(api, token):
    pods = "/api/v1/namespaces/default/pods"
    alice = {"Impersonate-User": "alice"}
    answer = api.get(pods, headers=alice)
    assert status_of(answer) == (403, "Forbidden")
    assert 'User "alice"' in answer.json["message"]
    info = api.request("POST", WHO, {}, headers=alice).json["status"]["userInfo"]
    assert info == {"username": "alice", "groups": ["system:authenticated"]}
    masters = {**alice, "Impersonate-Group": "system:masters"}
    assert api.get(pods, headers=masters).code == 200
    assert api.get(pods, user="", headers={**bearer(token), **masters}).code == 403
    lone = {"Impersonate-Group": "system:masters"}
    assert status_of(api.get(pods, headers=lone)) == (400, "BadRequest")
    assert "Forbidden" in api.kubectl("get", "pods", "--as=alice", fails=True)


def test_the_log_holds_no_secret(api, token):
    secret = {"metadata": {"name": "s"}, "stringData": {"a": "very-hidden-text"}}
    api.request("POST", "/api/v1/namespaces/default/secrets", secret)
    api.request("POST", "/api/v1/namespaces/default/secrets", b'{"very-hidden-text')
    api.get("/api", user="", headers=bearer(token))
    assert "very-hidden-text" not in api.log
    assert token not in api.log
    assert json.dumps(token) not in api.log
    api.request("DELETE", "/api/v1/namespaces/default/secrets/s")
