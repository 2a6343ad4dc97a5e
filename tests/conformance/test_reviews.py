"""Who may do what, asked of the server; accounts and what they are told."""

import base64

from kit.cluster import Cluster
from kit.lifecycle import eventually
from kit.manifests import sleeper
from kit.official import Official
from kit.syllabus import line

ACCOUNTS = "auth/service_accounts.go"


@line("auth/subjectreviews.go", "SubjectReview API ops")
def test_subjects_are_reviewed(client: Official, namespace: str) -> None:
    reviews = client.group("AuthorizationV1Api")
    user = f"system:serviceaccount:{namespace}:default"
    wanted = {"verb": "list", "resource": "configmaps", "version": "v1", "namespace": namespace}
    spec = {"user": user, "groups": ["system:authenticated"], "resourceAttributes": wanted}
    for ask in (
        lambda: reviews.create_subject_access_review({"spec": spec}),
        lambda: reviews.create_namespaced_local_subject_access_review(
            namespace, {"metadata": {"namespace": namespace}, "spec": spec}
        ),
    ):
        assert ask().status.allowed is False
    rights = client.group("RbacAuthorizationV1Api")
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}
    rights.create_namespaced_role(namespace, {"metadata": {"name": "r"}, "rules": [rule]})
    rights.create_namespaced_role_binding(
        namespace,
        {
            "metadata": {"name": "r"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
        },
    )
    eventually(
        "it is allowed",
        lambda: reviews.create_subject_access_review({"spec": spec}).status.allowed,
    )
    mine = {"spec": {"resourceAttributes": wanted}}
    assert reviews.create_self_subject_access_review(mine).status.allowed is True


@line(ACCOUNTS, "create token + TokenReview")
def test_a_token_is_made_and_reviewed(client: Official, namespace: str) -> None:
    client.core.create_namespaced_service_account(namespace, {"metadata": {"name": "a"}})
    request = {"spec": {"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": 600}}
    made = client.core.create_namespaced_service_account_token("a", namespace, request)
    review = client.group("AuthenticationV1Api").create_token_review(
        {"spec": {"token": made.status.token}}
    )
    if not review.status.authenticated:
        audience = {"spec": {"token": made.status.token, "audiences": request["spec"]["audiences"]}}
        review = client.group("AuthenticationV1Api").create_token_review(audience)
    assert review.status.authenticated is True
    assert review.status.user.username == f"system:serviceaccount:{namespace}:a"


@line(ACCOUNTS, "kube-root-ca.crt in every namespace")
def test_every_namespace_has_the_authority(client: Official, namespace: str) -> None:
    def there() -> bool:
        path = f"/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt"
        found = client.raw("GET", path)
        return found.code == 200 and "BEGIN CERTIFICATE" in found.json["data"]["ca.crt"]

    eventually("it is published", there)
    client.core.delete_namespaced_config_map("kube-root-ca.crt", namespace)
    eventually("it is published again", there)
    broken = {"data": {"ca.crt": "nonsense"}}
    client.core.patch_namespaced_config_map("kube-root-ca.crt", namespace, broken)
    eventually("it is mended", there)


@line(ACCOUNTS, "opt out of token automount")
def test_tokens_are_mounted_unless_somebody_objects(client: Official, namespace: str) -> None:
    for name, wish in (("mount", True), ("nomount", False), ("default-wish", None)):
        account = {"metadata": {"name": name}}
        if wish is not None:
            account["automountServiceAccountToken"] = wish
        client.core.create_namespaced_service_account(namespace, account)
    for account, own, mounted in (
        ("default-wish", None, True), ("default-wish", True, True), ("default-wish", False, False),
        ("mount", None, True), ("mount", True, True), ("mount", False, False),
        ("nomount", None, False), ("nomount", True, True), ("nomount", False, False),
    ):  # fmt: skip
        spec = {"serviceAccountName": account, "nodeSelector": {"no": "such"}}
        if own is not None:
            spec["automountServiceAccountToken"] = own
        pod = sleeper(f"{account}-{own}".lower(), **spec)
        made = client.core.create_namespaced_pod(namespace, pod)
        paths = {one.mount_path for one in made.spec.containers[0].volume_mounts or ()}
        assert ("/var/run/secrets/kubernetes.io/serviceaccount" in paths) is mounted, (account, own)


@line(ACCOUNTS, "update a ServiceAccount")
def test_an_account_is_updated(client: Official, namespace: str) -> None:
    made = client.core.create_namespaced_service_account(
        namespace, {"metadata": {"name": "a"}, "automountServiceAccountToken": False}
    )
    made.automount_service_account_token = True
    updated = client.core.replace_namespaced_service_account("a", namespace, made)
    assert updated.automount_service_account_token is True


@line(ACCOUNTS, "mount an API token")
def test_a_pod_speaks_to_the_server_by_its_token(
    cluster: Cluster, client: Official, namespace: str
) -> None:
    client.core.create_namespaced_pod(namespace, sleeper("p"))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/p", "--timeout=60s")
    at = "/var/run/secrets/kubernetes.io/serviceaccount"

    def inside(name: str) -> str:
        return cluster.kubectl("-n", namespace, "exec", "p", "--", "cat", f"{at}/{name}")

    assert inside("namespace") == namespace
    assert "BEGIN CERTIFICATE" in inside("ca.crt")
    payload = inside("token").split(".")[1]
    claims = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
    assert f'"system:serviceaccount:{namespace}:default"' in claims.replace(" ", "")


@line("scheduling/preemption.go", "PriorityClass endpoints")
def test_a_priority_class_keeps_its_value(client: Official) -> None:
    classes = client.group("SchedulingV1Api")
    for name, value in (("conformance-p1", 1), ("conformance-p2", 2)):
        classes.create_priority_class({"metadata": {"name": name}, "value": value})
    try:
        found = {one.metadata.name for one in classes.list_priority_class().items}
        assert {"conformance-p1", "conformance-p2"} <= found
        path = "/apis/scheduling.k8s.io/v1/priorityclasses/conformance-p1"
        patch = '{"value": 10}'
        merge = {"Content-Type": "application/merge-patch+json"}
        assert client.raw("PATCH", path, patch, headers=merge).code == 422
        described = classes.patch_priority_class("conformance-p1", {"description": "updated"})
        assert described.description == "updated"
        assert described.value == 1
    finally:
        for name in ("conformance-p1", "conformance-p2"):
            classes.delete_priority_class(name)


@line("architecture/conformance.go", "at least two untainted nodes")
def test_there_are_two_nodes_to_schedule_on(client: Official) -> None:
    free = [node for node in client.core.list_node().items if not node.spec.taints]
    assert len(free) >= 2
