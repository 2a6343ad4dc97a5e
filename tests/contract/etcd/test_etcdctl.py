"""Debian's etcdctl is content with our store."""

import json
import subprocess
from typing import Any

import pytest


@pytest.fixture
def ctl(pair):
    def run(*words: str, stdin: str = "", fails: bool = False) -> str:
        done = subprocess.run(
            ["etcdctl", f"--endpoints={pair.ours.address}", *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=20,
            env={"ETCDCTL_API": "3"},
            check=False,
        )
        assert (done.returncode != 0) is fails, done.stderr
        return done.stderr if fails else done.stdout

    return run


def test_put_get_and_delete(ctl: Any) -> None:
    assert ctl("put", "ctl/a", "1") == "OK\n"
    assert ctl("put", "ctl/a", "2", "--prev-kv") == "OK\nctl/a\n1\n"
    assert ctl("get", "--prefix", "ctl/") == "ctl/a\n2\n"
    answer = json.loads(ctl("get", "ctl/a", "-w", "json"))
    assert answer["kvs"][0]["version"] == 2
    older = answer["kvs"][0]["mod_revision"] - 1
    assert ctl("get", "ctl/a", f"--rev={older}") == "ctl/a\n1\n"
    assert ctl("del", "ctl/a", "--prev-kv") == "1\nctl/a\n2\n"


def test_transactions(ctl: Any) -> None:
    ctl("put", "ctl/t", "1")
    script = 'value("ctl/t") = "1"\n\nput ctl/t 2\nget ctl/t\n\nput ctl/t 3\n\n'
    assert ctl("txn", stdin=script).split() == ["SUCCESS", "OK", "ctl/t", "2"]
    assert ctl("txn", stdin=script).split() == ["FAILURE", "OK"]
    assert ctl("get", "ctl/t") == "ctl/t\n3\n"


def test_leases(ctl: Any) -> None:
    lease = ctl("lease", "grant", "60").split()[1]
    ctl("put", f"--lease={lease}", "ctl/l", "1")
    assert "attached keys([ctl/l])" in ctl("lease", "timetolive", lease, "--keys")
    assert lease in ctl("lease", "list")
    assert "keepalived with TTL(60)" in ctl("lease", "keep-alive", "--once", lease)
    assert "revoked" in ctl("lease", "revoke", lease)
    assert ctl("get", "ctl/l") == ""
    assert "already expired" in ctl("lease", "timetolive", lease)
    assert "requested lease not found" in ctl("put", f"--lease={lease}", "x", "1", fails=True)


def test_watch_from_the_past(ctl: Any, pair: Any) -> None:
    before = json.loads(ctl("get", "x", "-w", "json"))["header"]["revision"]
    ctl("put", "ctl/w", "1")
    ctl("del", "ctl/w")
    with subprocess.Popen(
        ["etcdctl", f"--endpoints={pair.ours.address}", "watch", "ctl/w", f"--rev={before + 1}"],
        stdout=subprocess.PIPE,
        text=True,
    ) as watch:
        try:
            assert watch.stdout is not None
            lines = [watch.stdout.readline().strip() for _ in range(5)]
        finally:
            watch.terminate()
    assert lines == ["PUT", "ctl/w", "1", "DELETE", "ctl/w"]


def test_status_health_and_members(ctl: Any) -> None:
    (status,) = json.loads(ctl("endpoint", "status", "-w", "json"))
    assert status["Status"]["leader"] == status["Status"]["header"]["member_id"]
    assert status["Status"]["dbSize"] > 0
    ctl("endpoint", "health")
    assert pair_address(ctl) in ctl("member", "list")


def pair_address(ctl: Any) -> str:
    (status,) = json.loads(ctl("endpoint", "status", "-w", "json"))
    address: str = status["Endpoint"]
    return address


def test_what_is_not_honoured_is_refused_by_name(ctl: Any) -> None:
    assert "Defragment" in ctl("defrag", fails=True)
    assert "AuthEnable" in ctl("auth", "enable", fails=True)
    assert "Snapshot" in ctl("snapshot", "save", "/tmp/never", fails=True)
    assert "MemberAdd" in ctl("member", "add", "x", "--peer-urls=http://127.0.0.1:1", fails=True)


def test_compaction(ctl: Any) -> None:
    ctl("put", "ctl/c", "1")
    ctl("put", "ctl/c", "2")
    revision = json.loads(ctl("get", "ctl/c", "-w", "json"))["header"]["revision"]
    assert f"compacted revision {revision}" in ctl("compact", str(revision))
    refused = "required revision has been compacted"
    assert refused in ctl("get", "ctl/c", f"--rev={revision - 1}", fails=True)
    assert refused in ctl("compact", str(revision), fails=True)
    assert "future revision" in ctl("compact", str(revision + 100), fails=True)
