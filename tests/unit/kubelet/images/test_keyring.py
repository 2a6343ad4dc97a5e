"""Which credentials fit which image."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.kubelet.images.keyring import InvalidSecret, Keyring, matches
from pilothouse.services.kubelet.ports import Credentials, PullSecret


def _auth(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _keyring(**auths: dict) -> Keyring:
    return Keyring([_secret({".dockerconfigjson": json.dumps({"auths": auths}).encode()})])


def _secret(data: dict[str, bytes]) -> PullSecret:
    return PullSecret("u1", "default", "s", data)


def _users(keyring: Keyring, repository: str) -> list[str]:
    return [one.credentials.username for one in keyring.lookup(repository)]


@pytest.mark.parametrize(
    ("key", "repository", "fits"),
    [
        ("quay.io", "quay.io/a/b", True),
        ("quay.io/a", "quay.io/a/b", True),
        ("quay.io/a/b/c", "quay.io/a/b", False),
        ("*.io", "quay.io/a", True),
        ("*.io", "x.quay.io/a", False),
        ("prefix.*.io", "prefix.kubernetes.io/a", True),
        ("*-good.kubernetes.io", "prefix-good.kubernetes.io/a", True),
        ("host:5000", "host:5000/a", True),
        ("host", "host:5000/a", False),
        ("host:5000", "host/a", False),
        ("*.kubernetes.io/a", "x.kubernetes.io/b", False),
    ],
)
def test_matches(key: str, repository: str, fits: bool) -> None:
    assert matches(key, repository) is fits


def test_the_most_specific_comes_first() -> None:
    auths = {name: {"username": name, "password": "p"} for name in ("quay.io", "quay.io/a", "x.io")}
    assert _users(_keyring(**auths), "quay.io/a/b") == ["quay.io/a", "quay.io"]
    assert _users(_keyring(**auths), "y.io/a") == []


def test_the_hub_goes_by_an_old_name() -> None:
    keyring = _keyring(**{"https://index.docker.io/v1/": {"auth": _auth("u", "p:q")}})
    (found,) = keyring.lookup("docker.io/library/busybox")
    assert (found.credentials, found.secret.uid) == (Credentials("u", "p:q"), "u1")
    assert keyring.lookup("quay.io/a") == []


def test_several_secrets_in_both_forms() -> None:
    old = json.dumps({"http://host:5000": {"username": "old", "password": "p"}}).encode()
    new = json.dumps({"auths": {"host:5000": {"auth": _auth("new", "p").rstrip("=")}}}).encode()
    both = [{".dockercfg": old}, {".dockerconfigjson": new}, {"other": b"x"}]
    keyring = Keyring(_secret(data) for data in both)
    assert _users(keyring, "host:5000/a") == ["old", "new"]


@pytest.mark.parametrize(
    "content",
    [b"no", b"[1]", b'{"auths": {"x": 3}}', b'{"auths": {"x": {"auth": "bm8gY29sb24="}}}',
     b'{"auths": {"x": {"auth": "a"}}}'],
)  # fmt: skip
def test_what_makes_no_sense(content: bytes) -> None:
    with pytest.raises(InvalidSecret):
        Keyring([_secret({".dockerconfigjson": content})])


@given(st.text("*.ab/:1[", max_size=12), st.text(".ab/:1]", max_size=12))
def test_nothing_breaks_it(key: str, repository: str) -> None:
    assert matches(key, repository) in {True, False}
