"""Who may do what: roles, bindings, nodes, and what a cluster is born with."""

import msgspec
import pytest

from pilothouse.services.apiserver.chain import nodes, roles
from pilothouse.services.apiserver.chain.attributes import Attributes, attributes_of, forbidden
from pilothouse.services.apiserver.chain.authorization import Authorization
from pilothouse.services.apiserver.chain.bindings import LiveBindings
from pilothouse.services.apiserver.chain.rbac import Sources, compile_policy
from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.requests import Stored, Target, User
from pilothouse.services.machinery.errors import Forbidden
from pilothouse.services.machinery.objects import Key

ALICE = User("alice", ("developers",))
NODE = User("system:node:n1", ("system:nodes", "system:authenticated"))


class FakeLive:
    """The port of the chain, over plain lists."""

    def __init__(self, objects=()):
        self.kinds = {}
        self.changes = 0
        for (group, plural), document in objects:
            self.add(group, plural, document)

    def add(self, group, plural, document):
        metadata = document["metadata"]
        key = Key(metadata.get("namespace", ""), metadata["name"])
        stored = Stored(key, 1, msgspec.json.encode(document))
        self.kinds.setdefault((group, plural), {})[key] = stored
        self.changes += 1

    def find(self, group, plural, key):
        return self.kinds.get((group, plural), {}).get(key)

    def objects(self, group, plural):
        return list(self.kinds.get((group, plural), {}).values())

    def mark(self, group, plural):
        del group, plural
        return self.changes


def born():
    return FakeLive(
        ((target.group, target.plural), document) for target, document in roles.bootstrap_objects()
    )


def authorization(live):
    return Authorization(live, LiveBindings(live))


def may(live, user, verb, resource, *, group="", namespace="default", name="", subresource=""):
    asked = Attributes(
        verb=verb, group=group, resource=resource, namespace=namespace, name=name,
        subresource=subresource,
    )  # fmt: skip
    return authorization(live).decide(user, asked).allowed


def policy_of(rules, *, namespace="", subject=None):
    subject = subject or {"kind": "User", "name": "alice"}
    role = {"metadata": {"name": "r"}, "rules": rules}
    reference = {"kind": "ClusterRole", "name": "r"}
    binding = {"metadata": {"name": "b"}, "roleRef": reference, "subjects": [subject]}
    if namespace:
        binding["metadata"]["namespace"] = namespace
        return compile_policy(Sources(cluster_roles=[role], role_bindings=[binding]))
    return compile_policy(Sources(cluster_roles=[role], cluster_role_bindings=[binding]))


def rule(verbs, resources, **more):
    return {"verbs": verbs, "apiGroups": [""], "resources": resources, **more}


@pytest.mark.parametrize(
    ("given", "asked", "allowed"),
    [
        (rule(["get"], ["pods"]), Attributes("get", resource="pods"), True),
        (rule(["get"], ["pods"]), Attributes("list", resource="pods"), False),
        (rule(["get"], ["pods"]), Attributes("get", resource="pods", subresource="log"), False),
        (rule(["get"], ["pods/log"]), Attributes("get", resource="pods", subresource="log"), True),
        (rule(["get"], ["*/log"]), Attributes("get", resource="pods", subresource="log"), True),
        (rule(["get"], ["pods"]), Attributes("get", group="apps", resource="pods"), False),
        (rule(["*"], ["*"]), Attributes("delete", resource="x", subresource="y"), True),
        (rule(["get"], ["pods"], resourceNames=["a"]), Attributes("get", resource="pods"), False),
        (
            rule(["get"], ["pods"], resourceNames=["a"]),
            Attributes("get", resource="pods", name="a"),
            True,
        ),
        ({"verbs": ["get"], "nonResourceURLs": ["/m/*"]}, Attributes("get", path="/m/x"), True),
        ({"verbs": ["get"], "nonResourceURLs": ["/m"]}, Attributes("get", path="/m/x"), False),
        ({"verbs": ["get"], "nonResourceURLs": ["*"]}, Attributes("get", resource="pods"), False),
    ],
)
def test_a_rule_matches(given, asked, allowed):
    assert policy_of([given]).decide(ALICE, asked).allowed is allowed


def test_a_role_binding_holds_in_its_namespace_only():
    policy = policy_of([rule(["get"], ["pods"])], namespace="here")
    assert policy.decide(ALICE, Attributes("get", resource="pods", namespace="here")).allowed
    assert not policy.decide(ALICE, Attributes("get", resource="pods", namespace="there")).allowed
    assert not policy.decide(ALICE, Attributes("get", resource="pods")).allowed


def test_groups_and_accounts_are_subjects():
    rules = [rule(["get"], ["pods"])]
    asked = Attributes("get", resource="pods")
    by_group = policy_of(rules, subject={"kind": "Group", "name": "developers"})
    assert by_group.decide(ALICE, asked).allowed
    subject = {"kind": "ServiceAccount", "name": "bot", "namespace": "ci"}
    account = policy_of(rules, subject=subject)
    assert account.decide(User("system:serviceaccount:ci:bot"), asked).allowed
    assert not account.decide(User("bot"), asked).allowed


def test_a_binding_to_nothing_grants_nothing():
    binding = {
        "metadata": {"name": "b"},
        "roleRef": {"kind": "ClusterRole", "name": "gone"},
        "subjects": [{"kind": "User", "name": "alice"}],
    }
    policy = compile_policy(Sources(cluster_role_bindings=[binding]))
    assert not policy.decide(ALICE, Attributes("get", resource="pods")).allowed


def test_a_namespace_lies_in_itself():
    assert attributes_of("get", Target("", "v1", "namespaces", "", "x")).namespace == "x"


def test_a_change_of_roles_counts_at_once():
    live = born()
    chain = authorization(live)
    asked = Attributes("get", resource="pods", namespace="default")
    assert not chain.decide(ALICE, asked).allowed
    live.add(
        roles.GROUP,
        "clusterrolebindings",
        {
            "metadata": {"name": "b"},
            "roleRef": {"kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "User", "name": "alice"}],
        },
    )
    assert chain.decide(ALICE, asked).allowed
    assert not chain.decide(ALICE, Attributes("get", resource="secrets")).allowed


async def test_refusals_have_the_words_of_kubernetes():
    with pytest.raises(Forbidden) as refused:
        await authorization(born()).allow(ALICE, "list", Target("apps", "v1", "deployments", "x"))
    assert refused.value.message == (
        'deployments.apps is forbidden: User "alice" cannot list resource "deployments" '
        'in API group "apps" in the namespace "x"'
    )
    assert "at the cluster scope" in forbidden(ALICE, Attributes("get", resource="nodes")).message


SCHEDULER = User("system:kube-scheduler")
CONTROLLERS = User("system:kube-controller-manager")
PROXY = User("system:kube-proxy", ("system:node-proxier",))


@pytest.mark.parametrize(
    ("user", "verb", "resource", "allowed"),
    [
        (SCHEDULER, "watch", "pods", True),
        (SCHEDULER, "watch", "nodes", True),
        (SCHEDULER, "create", "pods", False),
        (SCHEDULER, "get", "secrets", False),
        (SCHEDULER, "create", "events", True),
        (CONTROLLERS, "create", "pods", True),
        (CONTROLLERS, "create", "serviceaccounts", True),
        (CONTROLLERS, "create", "nodes", False),
        (PROXY, "watch", "services", True),
        (PROXY, "watch", "pods", False),
        (PROXY, "update", "services", False),
        (ALICE, "list", "pods", False),
        (User("root", ("system:masters",)), "escalate", "anything", True),
    ],
)
def test_what_our_own_components_may(user, verb, resource, allowed):
    assert may(born(), user, verb, resource) is allowed


def test_born_objects_name_kinds_that_are_served():
    catalog = builtin_catalog()
    known = {(kind.group, kind.plural) for kind in catalog.all()}
    names = set()
    for target, document in roles.bootstrap_objects():
        assert (target.group, target.plural) in known
        names.add((document["kind"], document["metadata"]["name"]))
        for given in document.get("rules", ()):
            asked = {name.split("/")[0] for name in given.get("resources", ())}
            resources = asked - {"*", "signers"}  # of signers there are only names
            groups = given.get("apiGroups", [])
            for name in resources:
                served = {group for group, plural in known if plural == name}
                assert "*" in groups or served & set(groups), (name, groups)
    bound = {
        document["roleRef"]["name"]
        for _, document in roles.bootstrap_objects()
        if "roleRef" in document
    }
    assert {("ClusterRole", name) for name in bound} <= names


def pod_on(node, name="p", **spec):
    return {"metadata": {"namespace": "default", "name": name}, "spec": {"nodeName": node, **spec}}


def bound_live():
    live = FakeLive()
    volumes = [{"name": "v", "secret": {"secretName": "s"}}]
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]
    live.add("", "pods", pod_on("n1", volumes=volumes, containers=[{"name": "a", "env": env}]))
    live.add("", "pods", pod_on("n2", "q", volumes=[{"name": "v", "secret": {"secretName": "t"}}]))
    return live


@pytest.mark.parametrize(
    ("verb", "resource", "name", "subresource", "allowed"),
    [
        ("list", "pods", "", "", True),
        ("watch", "services", "", "", True),
        ("list", "secrets", "", "", False),
        ("get", "secrets", "s", "", True),
        ("get", "secrets", "t", "", False),
        ("get", "configmaps", "c", "", True),
        ("update", "secrets", "s", "", False),
        ("patch", "pods", "p", "status", True),
        ("patch", "pods", "q", "status", False),
        ("patch", "pods", "p", "", False),
        ("delete", "pods", "p", "", True),
        ("delete", "pods", "q", "", False),
        ("patch", "nodes", "n1", "status", True),
        ("patch", "nodes", "n2", "status", False),
        ("delete", "nodes", "n1", "", False),
        ("create", "nodes", "n2", "", False),
        ("create", "events", "", "", True),
        ("create", "serviceaccounts", "default", "token", True),
        ("create", "serviceaccounts", "other", "token", False),
        ("create", "pods", "p", "exec", False),
    ],
)
def test_what_a_kubelet_may(verb, resource, name, subresource, allowed):
    asked = Attributes(
        verb=verb, resource=resource, namespace="default", name=name, subresource=subresource
    )
    assert nodes.decide(NODE, asked, LiveBindings(bound_live())).allowed is allowed


@pytest.mark.parametrize(
    ("verb", "subresource", "allowed"),
    [("create", "", True), ("watch", "", True), ("update", "approval", False),
     ("create", "selfnodeclient", False), ("delete", "", False)],
)  # fmt: skip
def test_a_kubelet_asks_for_certificates_and_approves_none(verb, subresource, allowed):
    asked = Attributes(
        verb=verb,
        group="certificates.k8s.io",
        resource="certificatesigningrequests",
        subresource=subresource,
    )
    assert nodes.decide(NODE, asked, LiveBindings(bound_live())).allowed is allowed


@pytest.mark.parametrize(
    ("verb", "name", "subresource", "allowed"),
    [("create", "", "", True), ("watch", "mine", "", True), ("get", "gone", "", True),
     ("watch", "others", "", False), ("watch", "", "", False), ("patch", "mine", "status", False)],
)  # fmt: skip
def test_a_kubelet_waits_for_certificates_that_it_asked_for(verb, name, subresource, allowed):
    live = bound_live()
    group, plural = "certificates.k8s.io", "podcertificaterequests"
    for name_, node in (("mine", "n1"), ("others", "n2")):
        body = {"metadata": {"name": name_, "namespace": "default"}, "spec": {"nodeName": node}}
        live.add(group, plural, body)
    asked = Attributes(
        verb=verb, group=group, resource=plural, namespace="default", name=name,
        subresource=subresource,
    )  # fmt: skip
    assert nodes.decide(NODE, asked, LiveBindings(live)).allowed is allowed


def test_leases_of_nodes():
    bindings = LiveBindings(FakeLive())

    def lease(name, namespace="kube-node-lease"):
        return Attributes(
            "update", "coordination.k8s.io", resource="leases", namespace=namespace, name=name
        )

    assert nodes.decide(NODE, lease("n1"), bindings).allowed
    assert not nodes.decide(NODE, lease("n2"), bindings).allowed
    assert not nodes.decide(NODE, lease("n1", "kube-system"), bindings).allowed


def test_only_members_of_the_group_are_nodes():
    impostor = User("system:node:n1", ("system:authenticated",))
    asked = Attributes("list", resource="pods")
    assert not nodes.decide(impostor, asked, LiveBindings(FakeLive())).allowed
