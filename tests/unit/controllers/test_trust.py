"""Aggregated roles, and bootstrap tokens."""

import base64
import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.apiserver.chain import roles
from pilothouse.services.controllers.identity import aggregation, bootstraptoken
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds.identity import (
    AggregationRule,
    ClusterRole,
    ConfigMap,
    Secret,
)
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Metadata

NOW = 1_800_000_000.0


def role(name, *verbs, labels=None, selects=None):
    selector = LabelSelector(match_labels=selects or {})
    return ClusterRole(
        metadata=Metadata(name=name, labels=labels or {}),
        rules=tuple({"verbs": [verb]} for verb in verbs),
        aggregation_rule=AggregationRule(cluster_role_selectors=(selector,)) if selects else None,
    )


PICK = {"pick": "me"}


def test_a_role_has_the_rules_of_those_it_selects_each_once():
    whole = role("a", "old", selects=PICK, labels=PICK)
    others = [role("c", "get", "list", labels=PICK), role("b", "get", labels=PICK), role("d", "x")]
    assert aggregation.plan(whole, [whole, *others]) == ({"verbs": ["get"]}, {"verbs": ["list"]})
    assert aggregation.plan(role("plain", "get"), others) is None


@given(st.lists(st.sampled_from(["get", "list", "watch"]), max_size=4))
def test_written_the_rules_need_no_more_writing(verbs):
    parts = [role(f"r{number}", verb, labels=PICK) for number, verb in enumerate(verbs)]
    rules = aggregation.plan(role("a", "old", selects=PICK), parts)
    assert rules is not None
    again = role("a", *(rule["verbs"][0] for rule in rules), selects=PICK)
    assert aggregation.plan(again, parts) is None


def token(name="abcdef", *, left=None, signs="true", **data):
    given_ = {"token-id": name, "token-secret": "secret", "usage-bootstrap-signing": signs, **data}
    if left is not None:
        given_["expiration"] = timestamps.render(NOW + left)
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in given_.items()}
    return Secret(
        metadata=Metadata(name=f"bootstrap-token-{name}", namespace="kube-system"),
        type=bootstraptoken.TYPE,
        data=encoded,
    )


def info(**data):
    return ConfigMap(metadata=Metadata(name="cluster-info"), data=data)


def test_tokens_go_when_their_time_is_over():
    tokens = [token("aaaaaa", left=-1), token("bbbbbb", left=9), token("cccccc")]
    tokens.append(token("dddddd", expiration="soon"))
    todo = bootstraptoken.plan(tokens, None, NOW)
    assert [item.metadata.name for item in todo.delete] == [
        "bootstrap-token-aaaaaa",
        "bootstrap-token-dddddd",
    ]
    assert todo.again_after == 9


def test_each_token_that_may_signs_what_is_said_and_others_take_theirs_back():
    present = info(kubeconfig="text", **{"jws-kubeconfig-gone": "old"})
    tokens = [token(), token("bbbbbb", signs="false"), token("cccccc", left=-1)]
    todo = bootstraptoken.plan(tokens, present, NOW)
    assert set(todo.signatures) == {"jws-kubeconfig-abcdef", "jws-kubeconfig-gone"}
    assert todo.signatures["jws-kubeconfig-gone"] is None
    signed = todo.signatures["jws-kubeconfig-abcdef"]
    assert signed is not None
    head, middle, tail = signed.split(".")
    assert middle == ""
    body = base64.urlsafe_b64encode(b"text").rstrip(b"=").decode()
    wanted = hmac.new(b"secret", f"{head}.{body}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(tail + "=") == wanted
    done = info(kubeconfig="text", **{"jws-kubeconfig-abcdef": signed})
    assert bootstraptoken.plan(tokens, done, NOW).signatures == {}


def test_the_roles_that_a_cluster_is_born_with_are_complete():
    born = [
        ClusterRole(
            metadata=Metadata(
                name=document["metadata"]["name"], labels=document["metadata"]["labels"]
            ),
            rules=tuple(document["rules"]),
            aggregation_rule=_rule(document.get("aggregationRule")),
        )
        for _, document in roles.bootstrap_objects()
        if document["kind"] == "ClusterRole"
    ]
    assert sum(item.aggregation_rule is not None for item in born) == 3
    for item in born:
        assert aggregation.plan(item, born) is None, item.metadata.name


def _rule(document):
    if document is None:
        return None
    selectors = tuple(
        LabelSelector(match_labels=one["matchLabels"]) for one in document["clusterRoleSelectors"]
    )
    return AggregationRule(cluster_role_selectors=selectors)
