"""The invoker against Debian's own plugins, in namespaces made for the test."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilothouse.cni import protocol
from pilothouse.cni.invoke import Invoker, load
from pilothouse.cni.protocol import Attachment, CniError, Network

BINARIES = Path("/usr/lib/cni")
HOST, POD = "ph-cni-host", "ph-cni-pod"


@pytest.fixture
def namespaces() -> Iterator[None]:
    for name in (HOST, POD):
        subprocess.run(["ip", "netns", "add", name], check=True)
    yield
    for name in (HOST, POD):
        subprocess.run(["ip", "netns", "delete", name], check=True)


def _wrapped(directory: Path) -> Path:
    """The plugins as seen by the host namespace: each enters it first."""
    directory.mkdir()
    for plugin in BINARIES.iterdir():
        path = directory / plugin.name
        path.write_text(f"#!/bin/sh\nexec nsenter --net=/run/netns/{HOST} {plugin}\n")
        path.chmod(0o755)
    return directory


def _network(tmp_path: Path) -> Network:
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": "10.88.0.0/29"}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(tmp_path / "ipam"),
    }
    body = {
        "cniVersion": "1.0.0",
        "name": "test",
        "plugins": [
            {"type": "bridge", "bridge": "br-test", "isGateway": True, "ipam": ipam},
            {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
        ],
    }
    (tmp_path / "net.d").mkdir()
    (tmp_path / "net.d" / "10-test.conflist").write_text(json.dumps(body))
    return load(tmp_path / "net.d")


def _ip(netns: str, *command: str) -> str:
    return subprocess.run(
        ["ip", "-n", netns, *command], capture_output=True, text=True, check=True
    ).stdout


def test_add_check_and_delete_twice(namespaces: None, tmp_path: Path) -> None:
    network = _network(tmp_path)
    invoker = Invoker([_wrapped(tmp_path / "bin")], tmp_path / "cache")
    attachment = Attachment(
        container_id="c1", netns=f"/run/netns/{POD}", arguments=(("IgnoreUnknown", "1"),)
    )
    result = invoker.add(network, attachment)
    address = result.ips[0].address
    assert address == "10.88.0.2/29"
    assert result.interfaces[result.ips[0].interface].sandbox == attachment.netns
    assert address in _ip(POD, "addr", "show", "eth0")
    assert "default via 10.88.0.1" in _ip(POD, "route")
    invoker.check(network, attachment)
    _ip(POD, "link", "set", "eth0", "down")
    _ip(POD, "addr", "flush", "dev", "eth0")
    with pytest.raises(CniError):
        invoker.check(network, attachment)
    invoker.delete(network, attachment)
    invoker.delete(network, attachment)
    assert "eth0" not in _ip(POD, "link")
    assert not list((tmp_path / "ipam" / "test").glob("10.*"))
    assert not list((tmp_path / "cache" / "results").iterdir())
    with pytest.raises(CniError) as caught:
        invoker.check(network, attachment)
    assert caught.value.code == protocol.UNKNOWN_CONTAINER


def test_ports_of_the_host_come_and_go(namespaces: None, tmp_path: Path) -> None:
    network = _network(tmp_path)
    invoker = Invoker([_wrapped(tmp_path / "bin")], tmp_path / "cache")
    ports = [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]
    attachment = Attachment(
        container_id="c3",
        netns=f"/run/netns/{POD}",
        capabilities={"portMappings": ports, "bandwidth": {}},
    )
    invoker.add(network, attachment)
    rules = ["nsenter", f"--net=/run/netns/{HOST}", "iptables", "-t", "nat", "-S"]
    listed = subprocess.run(rules, capture_output=True, text=True, check=True).stdout
    assert "10.88.0.2:80" in listed
    invoker.delete(network, attachment)
    listed = subprocess.run(rules, capture_output=True, text=True, check=True).stdout
    assert "10.88.0.2:80" not in listed


def test_a_failed_add_leaves_no_address(namespaces: None, tmp_path: Path) -> None:
    network = _network(tmp_path)
    invoker = Invoker([_wrapped(tmp_path / "bin")], tmp_path / "cache")
    gone = Attachment(container_id="c2", netns="/run/netns/ph-cni-absent")
    with pytest.raises(CniError) as caught:
        invoker.add(network, gone)
    assert "ph-cni-absent" in str(caught.value)
    assert not list((tmp_path / "ipam" / "test").glob("10.*"))


def test_versions_and_missing_plugins(tmp_path: Path) -> None:
    invoker = Invoker([BINARIES], tmp_path)
    assert protocol.VERSION in invoker.version("bridge").supported_versions
    with pytest.raises(CniError, match="nothing"):
        invoker.version("nothing")
