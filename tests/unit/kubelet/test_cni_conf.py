"""The CNI configuration fits the machine that it is written on."""

import json
from pathlib import Path

from pilothouse.services.kubelet.adapters import cni_conf
from pilothouse.services.kubelet.adapters.machine import host


def test_the_interface_is_the_one_that_has_the_address() -> None:
    assert host.interface_of("127.0.0.1") == "lo"
    assert host.interface_of("192.0.2.77") == ""


def test_pods_get_the_mtu_of_that_interface(tmp_path: Path) -> None:
    assert cni_conf.write(tmp_path / "net.d", "10.244.1.0/24", node_ip="127.0.0.1")
    [bridge, _] = json.loads((tmp_path / "net.d" / cni_conf.FILE).read_text())["plugins"]
    assert bridge["mtu"] == host.mtu("lo")
    assert bridge["mtu"] != host.MTU_DEFAULT


def test_addresses_are_remembered_where_told(tmp_path: Path) -> None:
    directory = tmp_path / "net.d"

    def remembered() -> str:
        [bridge, _] = json.loads((directory / cni_conf.FILE).read_text())["plugins"]
        return str(bridge["ipam"]["dataDir"])

    cni_conf.write(directory, "10.244.1.0/24")
    assert remembered() == str(tmp_path / "cache" / "networks")
    cni_conf.write(directory, "10.244.1.0/24", cache=Path("/var/lib/cni"))
    assert remembered() == "/var/lib/cni/networks"
    assert not cni_conf.write(directory, "10.244.1.0/24", cache=Path("/var/lib/cni"))
