"""``ops/down`` leaves nothing: the machine before ``ops/up`` and after ``ops/down`` is the same."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

WATCHED = ("/etc", "/run", "/var/lib", "/opt", "/tmp")
# Other programs write here at any time: apt, the tests themselves, bash jobs of whoever runs us.
NOT_OURS = re.compile(r"^(/tmp/(?!pilothouse-other|containerd|ctd)|/run/lock|/var/lib/(apt|dpkg))")


def lines(*command: str) -> set[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return set(done.stdout.splitlines())


def files() -> set[str]:
    found = set()
    for top in WATCHED:
        found |= lines("find", top, "-xdev")
    return {path for path in found if not NOT_OURS.match(path)}


def machine() -> dict[str, set[str]]:
    """Everything that a cluster could leave behind, each as a set of lines."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    arguments = lines("ps", "-eo", "args")
    return {
        "processes": {
            line
            for line in arguments
            # What has ended and waits for init to look is no process of anybody's.
            if re.search(r"pilothouse |containerd|nginx|/pause", line) and "<defunct>" not in line
        },
        "mounts": {line.split()[4] for line in mounts},
        "namespaces": lines("ls", "/run/netns"),
        "links": lines("ip", "-o", "-br", "link"),
        "addresses": lines("ip", "-o", "-br", "addr"),
        "routes": lines("ip", "route", "show", "table", "all"),
        "rules": lines("nft", "list", "ruleset") | lines("iptables-save"),
        "sysctls": lines("sysctl", "net.ipv4.ip_forward", "net.ipv4.conf.all.rp_filter"),
        "cgroups": lines("find", "/sys/fs/cgroup", "-type", "d", "-name", "*pilothouse*"),
        "files": files(),
    }


def differences(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, Any]:
    return {
        what: {
            "more": sorted(after[what] - before[what]),
            "less": sorted(before[what] - after[what]),
        }
        for what in before
        if before[what] != after[what]
    }


def test_down_leaves_the_machine_as_it_was(request: pytest.FixtureRequest) -> None:
    before = machine()
    cluster = request.getfixturevalue("other_cluster")
    cluster.up()
    cluster.kubectl(
        "create", "-f", str(Path(__file__).parents[2] / "examples/nginx-deployment.yaml")
    )
    cluster.eventually("pods run", lambda: cluster.deployment_is("ngx-deployment", 2))
    assert differences(before, machine())["namespaces"]["more"], "the comparison sees nothing"
    host = machine()
    for what in ("links", "addresses", "routes", "rules", "sysctls"):
        assert host[what] == before[what], f"the host's own {what} were changed"
    cluster.down()
    left = differences(before, machine())
    assert left == {}, left


def test_down_twice_and_without_a_cluster_is_no_error(request: pytest.FixtureRequest) -> None:
    cluster = request.getfixturevalue("other_cluster")
    assert "not there" in cluster.down()
