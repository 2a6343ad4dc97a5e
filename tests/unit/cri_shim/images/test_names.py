"""Names of images, hosts of registries, credentials and manifests."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.cri_shim.images import credentials, hosts, manifests
from pilothouse.cri_shim.images.chains import chain_ids
from pilothouse.cri_shim.images.credentials import NOBODY, Given
from pilothouse.cri_shim.images.manifests import InvalidImage, Platform
from pilothouse.services.machinery.images import InvalidReference, parse

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("me/app", "docker.io/me/app:latest"),
        ("index.docker.io/busybox", "docker.io/library/busybox:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("host:5000/app", "host:5000/app:latest"),
        ("[::1]:5000/app:v1", "[::1]:5000/app:v1"),
        ("quay.io/a/b/c:x_Y-1.2", "quay.io/a/b/c:x_Y-1.2"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}"),
        (f"busybox:1@{DIGEST}", f"docker.io/library/busybox@{DIGEST}"),
        ("Host/app", "Host/app:latest"),
    ],
)
def test_names_in_full(text: str, full: str) -> None:
    assert str(parse(text)) == full
    assert parse(full) == parse(str(parse(full)))


@pytest.mark.parametrize(
    "text",
    ["", "Busybox", ":1", "a b", "http://x/y", "busybox:", "busybox@sha256:12", "-x", "a//b",
     "a" * 64, f"busybox@md5:{'0' * 32}", "host:port/app", "x/" + "a" * 300],
)  # fmt: skip
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse(text)


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except InvalidReference:
        return
    assert str(parse(str(found))) == str(found)


def test_hosts_in_their_order() -> None:
    text = """
server = "https://registry-1.docker.io"
[host."http://127.0.0.1:5000"]
  capabilities = ["pull"]
[host."https://mirror.example/v2/cache"]
  override_path = true
  skip_verify = true
  ca = "ca.pem"
  client = [["c.pem", "/k.pem"]]
  [host."https://mirror.example/v2/cache".header]
    x-key = ["a", "b"]
"""
    files = {"/d/docker.io/hosts.toml": text}
    local, mirror, server = hosts.hosts_of("docker.io", "/d", files.get)
    assert (local.url, local.capabilities) == ("http://127.0.0.1:5000/v2", {"pull"})
    assert (mirror.url, mirror.skip_verify) == ("https://mirror.example/v2/cache", True)
    assert mirror.authorities == ("/d/docker.io/ca.pem",)
    assert mirror.clients == (("/d/docker.io/c.pem", "/k.pem"),)
    assert mirror.headers == (("x-key", "a"), ("x-key", "b"))
    assert (server.url, server.is_mirror) == ("https://registry-1.docker.io/v2", False)


def test_where_there_is_no_file() -> None:
    assert hosts.hosts_of("docker.io", "", {}.get)[0].url == "https://registry-1.docker.io/v2"
    assert hosts.hosts_of("127.0.0.1:5000", "/d", {}.get)[0].url == "http://127.0.0.1:5000/v2"
    assert hosts.hosts_of("quay.io", "/d", {}.get)[0].url == "https://quay.io/v2"
    files = {"/d/quay.io_443_/hosts.toml": 'server = "http://other"'}
    assert hosts.hosts_of("quay.io:443", "/d", files.get)[0].url == "http://other/v2"
    with pytest.raises(hosts.InvalidHosts, match="_default"):
        hosts.hosts_of("x.io", "/d", {"/d/_default/hosts.toml": "= no"}.get)


def test_credentials() -> None:
    read = credentials.read
    assert read(Given("u", "p"), "r").basic == "Basic dTpw"
    assert read(Given(auth="dTpwOng="), "r").password == "p:x"
    assert read(Given("u", "p", server_address="https://other/v1/"), "r") == NOBODY
    assert read(Given("u", "p", server_address="docker.io"), "registry-1.docker.io") != NOBODY
    with pytest.raises(ValueError, match="auth"):
        read(Given(auth="dQ=="), "r")


def test_challenges() -> None:
    header = (
        'Bearer realm="https://t/x?a=1",service="s, t",scope="repository:a:pull", Basic realm=r'
    )
    bearer, basic = credentials.challenges(header)
    assert bearer.parameters["service"] == "s, t"
    assert (basic.scheme, basic.parameters) == ("basic", {"realm": "r"})
    assert credentials.challenges("Negotiate abc") == []
    query = credentials.token_query(bearer, parse("x.io/a"), NOBODY)
    assert query == {"scope": "repository:a:pull", "service": "s, t"}
    assert credentials.token_url(bearer, {"scope": "a:b"}) == "https://t/x?a=1&scope=a%3Ab"


def _descriptor(**platform: str) -> dict:
    return {"digest": DIGEST, "size": 1, "mediaType": manifests.OCI_MANIFEST, "platform": platform}


def test_the_platform_is_chosen() -> None:
    body = {"manifests": [
        _descriptor(os="windows", architecture="amd64"),
        _descriptor(os="linux", architecture="arm", variant="v6"),
        _descriptor(os="linux", architecture="arm", variant="v7"),
        _descriptor(os="linux", architecture="amd64"),
        _descriptor(os="linux", architecture="arm64"),
    ]}  # fmt: skip
    index = manifests.parse("", json.dumps(body).encode()).index

    def chosen(machine: str) -> int | None:
        found = manifests.choose(index, manifests.host_platform(machine))
        return None if found is None else index.manifests.index(found)

    assert [chosen(name) for name in ("x86_64", "aarch64", "armv7l", "s390x")] == [3, 4, 2, None]
    assert manifests.choose(index, Platform("linux", "arm", "v6")).platform.variant == "v6"


@pytest.mark.parametrize(
    "body",
    ["", "[]", '{"schemaVersion": 1}', '{"config": 3}', '{"manifests": [], "layers": []}'],
)
def test_what_is_no_manifest(body: str) -> None:
    with pytest.raises(InvalidImage):
        manifests.parse("", body.encode())


def test_users_of_images() -> None:
    def user(text: str) -> manifests.User:
        body = {"config": {"User": text, "Env": None}, "rootfs": {"diff_ids": []}}
        return manifests.user_of(manifests.config_of(json.dumps(body).encode()))

    assert (user(""), user("7:8")) == (manifests.User(), manifests.User(7))
    assert user("www:www") == manifests.User(name="www")


def test_chains() -> None:
    first, second = chain_ids([DIGEST, DIGEST])
    assert first == DIGEST
    assert second == "sha256:9d2cc34dc7dc748dba0ed439e6987c2f2c39ec504fa0c1527531d9bc7d0f1052"
