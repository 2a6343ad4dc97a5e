"""Aggregated roles, and bootstrap tokens."""

import base64
import hashlib
import hmac

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.apiserver.chain import roles
from pilothouse.services.controllers.identity import aggregation, bootstrapsigner
from pilothouse.services.controllers.identity.bootstrapsigner import BootstrapSignerController
from pilothouse.services.controllers.identity.tokencleaner import TokenCleanerController
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds import bootstraptokens
from pilothouse.services.machinery.kinds.identity import (
    AggregationRule,
    ClusterRole,
    ConfigMap,
    Secret,
)
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Metadata

NOW = 1_800_000_000.0
replace = msgspec.structs.replace


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
        type=bootstraptokens.TYPE,
        data=encoded,
    )


def info(**data):
    return ConfigMap(metadata=Metadata(name="cluster-info"), data=data)


class Shelf:
    """Tokens, and what may be said with them; what is done to them is done."""

    def __init__(self, *tokens, info=None):
        self.found = {item.metadata.key: item for item in tokens}
        self.said = info
        self.writes = 0

    def find(self, key):
        return self.found.get(key)

    def tokens(self):
        return self.found.values()

    def info(self):
        return self.said

    def now(self):
        return NOW

    async def delete(self, token):
        del self.found[token.metadata.key]

    async def write(self, info, signatures):
        data = {**info.data, **signatures}
        self.said = replace(info, data={k: v for k, v in data.items() if v is not None})
        self.writes += 1


async def test_tokens_go_when_their_time_is_over():
    tokens = [token("aaaaaa", left=-1), token("bbbbbb", left=9), token("cccccc")]
    tokens += [token("dddddd", expiration="soon"), token("eeeeee", expiration="")]
    shelf = Shelf(*tokens)
    cleaner = TokenCleanerController(shelf)
    again = {item.metadata.name[-1]: await cleaner.reconcile(item.metadata.key) for item in tokens}
    assert {key.name[-1] for key in shelf.found} == {"b", "c", "e"}
    assert {name for name, result in again.items() if result.again_after} == {"b"}
    assert again["b"].again_after == 9


def proves(signed, name, text, secret):
    """Whether ``signed`` is a JSON Web Signature of ``text``, whose middle part is left out."""
    head, middle, tail = signed.split(".")
    padded = head + "=" * (-len(head) % 4)
    assert base64.urlsafe_b64decode(padded) == f'{{"alg":"HS256","kid":"{name}"}}'.encode()
    assert middle == ""
    body = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
    # Whoever joins pads the secret to the length that its library asks for.
    key = secret.encode().ljust(32, b"\0")
    wanted = hmac.new(key, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return hmac.compare_digest(base64.urlsafe_b64decode(tail + "="), wanted)


def test_what_cannot_be_signed_with_is_not():
    misnamed = token(**{"token-id": "zzzzzz"})
    whole = token("bbbbbb")
    named = replace(whole, metadata=replace(whole.metadata, name="bbbbbb"))
    tokens = [misnamed, named, token("cccccc", **{"token-secret": ""}), token("TOOLONG")]
    assert bootstrapsigner.plan(tokens, info(kubeconfig="text"), NOW).signatures == {}


def test_where_nothing_is_said_nothing_is_signed_and_nothing_taken_back():
    assert bootstrapsigner.plan([token()], info(**{"jws-kubeconfig-gone": "x"}), NOW) == (
        bootstrapsigner.Plan({})
    )


def test_a_signature_is_made_anew_when_its_token_is_over():
    todo = bootstrapsigner.plan([token(left=9), token("bbbbbb", left=99)], info(kubeconfig=""), NOW)
    assert (len(todo.signatures), todo.again_after) == (2, 9)


STATES = st.tuples(
    st.sampled_from([None, -1, 0, 50]), st.sampled_from(["true", "false", ""]), st.text(max_size=40)
)


@given(
    st.dictionaries(st.sampled_from(["aaaaaa", "bbbbbb", "cccccc"]), STATES),
    st.text(max_size=9),
    st.dictionaries(st.sampled_from(["aaaaaa", "bbbbbb", "gone00"]), st.text(max_size=9)),
)
async def test_each_token_that_may_signs_once_and_others_take_theirs_back(states, text, old):
    tokens = [
        token(name, left=left, signs=signs, **{"token-secret": secret})
        for name, (left, signs, secret) in states.items()
    ]
    present = {f"jws-kubeconfig-{name}": signed for name, signed in old.items()}
    shelf = Shelf(*tokens, info=info(kubeconfig=text, other="kept", **present))
    signer = BootstrapSignerController(shelf)
    await signer.reconcile(bootstraptokens.INFO)
    written = dict(shelf.said.data)
    assert (written.pop("kubeconfig"), written.pop("other")) == (text, "kept")
    may = {
        name: secret
        for name, (left, signs, secret) in states.items()
        if signs == "true" and secret and (left is None or left > 0)
    }
    assert written.keys() == {f"jws-kubeconfig-{name}" for name in may}
    for name, secret in may.items():
        assert proves(written[f"jws-kubeconfig-{name}"], name, text, secret)
    before = shelf.writes
    await signer.reconcile(bootstraptokens.INFO)
    assert shelf.writes == before


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
