"""Paths that containers may have tampered with, and what volumes are made of."""

import contextlib
import os
import socket
import threading
from pathlib import Path

import msgspec
import pytest

from pilothouse.services.kubelet.adapters.volumes import atomic_files, beneath, host_paths
from pilothouse.services.kubelet.pod.environment import expand_known
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.volumes import bundles, emptied, keys, payload, renewal
from pilothouse.services.kubelet.volumes.payload import Credential, File, Found
from pilothouse.services.kubelet.volumes.sources import (
    EmptyDirSource,
    HostPathSource,
    Volume,
    projections,
)
from pilothouse.services.machinery.errors import BadRequest, NotFound


def _opened(root, below: str) -> str:
    found = beneath.open_made(root, below)
    try:
        return str(Path(f"/proc/self/fd/{found}").readlink())
    finally:
        os.close(found)


def test_subpaths_are_made_inside(tmp_path) -> None:
    root = tmp_path / "volume"
    root.mkdir(mode=0o700)
    assert _opened(root, "a/b//./c") == str(root / "a/b/c")
    assert (root / "a/b").stat().st_mode & 0o777 == 0o700
    (root / "file").write_text("x")
    (root / "link").symlink_to("a/b")
    assert _opened(root, "file") == str(root / "file")
    assert _opened(root, "link/c") == str(root / "a/b/c")


@pytest.mark.parametrize("target", ["..", "/etc", "../outside", "a/../../outside"])
def test_links_that_lead_out_are_refused(tmp_path, target: str) -> None:
    root = tmp_path / "volume"
    (root / "a").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (root / "evil").symlink_to(target)
    for below in ("evil", "evil/made"):
        with pytest.raises(BadRequest, match="out of its volume"):
            _opened(root, below)
    assert not list((tmp_path / "outside").iterdir())


@pytest.mark.parametrize("below", ["../x", "a/../../x", "/etc", "a/.."])
def test_paths_that_go_up_are_refused(tmp_path, below: str) -> None:
    with pytest.raises(BadRequest):
        beneath.open_made(tmp_path, below)


def test_a_directory_that_turns_into_a_link_leads_nowhere(tmp_path) -> None:
    """Somebody swaps a directory for a link out of the volume, all the time."""
    root, outside = tmp_path / "volume", tmp_path / "outside"
    (root / "turn").mkdir(parents=True)
    outside.mkdir()
    (root / "link").symlink_to(outside)
    is_over = threading.Event()

    def swap() -> None:
        turns = (("turn", "away"), ("link", "turn"), ("turn", "link"), ("away", "turn"))
        while not is_over.is_set():
            for old, new in turns:
                with contextlib.suppress(OSError):
                    (root / old).rename(root / new)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(300):
            with contextlib.suppress(BadRequest, OSError):
                assert _opened(root, "turn/below").startswith(str(root))
    finally:
        is_over.set()
        thread.join()
    assert not list(outside.iterdir())


def test_host_paths_are_what_they_say(tmp_path) -> None:
    def check(path, kind: str) -> None:
        host_paths.check(HostPathSource(path=str(path), type=kind))

    check(tmp_path / "made", "DirectoryOrCreate")
    check(tmp_path / "file", "FileOrCreate")
    check(tmp_path / "made", "Directory")
    check(tmp_path / "nowhere", "")
    check("/dev/null", "CharDevice")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        check(tmp_path / "s", "Socket")
    for kind, words in (
        ("Directory", "is not a directory"), ("FileOrCreate", "is not a file"),
        ("Socket", "is not a socket file"), ("CharDevice", "is not a character device"),
        ("BlockDevice", "is not a block device"),
    ):  # fmt: skip
        path = tmp_path / ("file" if kind == "Directory" else "made")
        with pytest.raises(NotFound, match=f"hostPath type check failed: .* {words}"):
            check(path, kind)


def _pod(**spec: object) -> Pod:
    return msgspec.convert({"spec": {"containers": [{"name": "c"}], **spec}}, Pod)


def test_identities_are_private_to_whom_the_pod_runs_as() -> None:
    source = {"name": "v", "projected": {"sources": [
        {"serviceAccountToken": {"path": "token"}},
        {"clusterTrustBundle": {"path": "ca.pem", "name": "x"}},
        {"podCertificate": {
            "signerName": "a/b", "keyType": "ED25519", "credentialBundlePath": "both",
            "keyPath": "key",
        }},
    ]}}  # fmt: skip
    parts, mode = projections(msgspec.convert(source, Volume))
    token = parts[0].service_account_token
    found = Found({}, {}, {token: "t"}, {1: b"ca"}, {2: Credential(b"K", b"C")})

    def files(pod: Pod):
        return payload.build(pod, parts, mode, found, None)

    assert files(_pod())["token"] == File(b"t", 0o644)
    private = files(_pod(securityContext={"runAsUser": 7}))
    assert private["token"] == File(b"t", 0o600, 7)
    assert private["both"] == File(b"KC", 0o600, 7)
    assert (private["key"].content, private["ca.pem"].content) == (b"K", b"ca")


def test_a_group_may_read_what_is_its_own(tmp_path) -> None:
    atomic_files.write(tmp_path / "v", {"d/a": File(b"1", 0o400)}, 4000)
    file, directory = tmp_path / "v/d/a", tmp_path / "v/d"
    assert (file.stat().st_gid, file.stat().st_mode & 0o777) == (4000, 0o440)
    assert (directory.stat().st_gid, directory.stat().st_mode & 0o7777) == (4000, 0o2755)


def test_bundles_are_one_file_without_repetition() -> None:
    one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    two = "# c\n-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n"
    assert bundles.combine([two, one, two]).decode().count("BEGIN") == 2
    assert bundles.combine([one]) == one.encode()
    assert bundles.combine([]) == b""


def test_memory_and_pages_of_an_empty_directory() -> None:
    limited = _pod(containers=[{"name": "c", "resources": {
        "limits": {"memory": "64Mi"}, "requests": {"hugepages-2Mi": "4Mi"}}}])  # fmt: skip
    source = EmptyDirSource(medium="Memory", size_limit="128Mi")
    assert emptied.memory_bytes(limited, source, {"memory": "1Gi"}) == 64 << 20
    assert emptied.memory_bytes(_pod(), source, {"memory": "1Gi"}) == 128 << 20
    assert emptied.memory_bytes(_pod(), EmptyDirSource(medium="Memory"), {}) == 0
    assert emptied.huge_page_size(limited, "HugePages") == "2Mi"
    assert emptied.huge_page_size(limited, "HugePages-1Gi") == "1Gi"
    with pytest.raises(BadRequest):
        emptied.huge_page_size(_pod(), "HugePages")


def test_tokens_are_renewed_in_time() -> None:
    assert renewal.token_due(0.0, 1000.0) == 800.0
    assert renewal.token_due(0.0, 1e9) == 86400.0


@pytest.mark.parametrize("kind", ["ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"])
def test_keys_prove_possession(kind: str) -> None:
    key = keys.make(kind)
    assert keys.stub_request(key)
    assert keys.pem(key).startswith(b"-----BEGIN PRIVATE KEY-----")


def test_an_expression_with_an_unknown_name_is_refused() -> None:
    assert expand_known("$(A)/$$(B)", {"A": "x"}) == "x/$(B)"
    with pytest.raises(BadRequest, match="missing value"):
        expand_known("$(B)", {})
