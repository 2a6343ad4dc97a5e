"""A cluster's names and addresses, and the processes it is made of."""

import tomllib
from pathlib import Path

import pytest

from pilothouse.ops.local.bring_up import environment
from pilothouse.ops.local.cluster import CRI_SHIM, Cluster
from pilothouse.ops.local.containerd import version
from pilothouse.ops.local.containerd_toml import Machine, configuration
from pilothouse.ops.local.services import LISTEN_FLAG, plan
from pilothouse.ops.local.take_down import shim_address


def test_the_default_cluster_has_the_plain_names() -> None:
    cluster = Cluster()
    assert str(cluster.state) == "/var/lib/pilothouse"
    assert str(cluster.kubeconfig) == "/etc/pilothouse/admin.conf"
    assert cluster.members[0].netns == "pilothouse-node-1"


def test_clusters_share_no_directory_and_no_namespace() -> None:
    one, two = Cluster(nodes=2), Cluster("two", nodes=2)
    assert {one.state, one.config, one.run}.isdisjoint({two.state, two.config, two.run})
    names = [node.netns for cluster in (one, two) for node in cluster.members]
    assert len(set(names)) == 4


@pytest.mark.parametrize("name", ["", "A", "a_b", "../x", "a" * 21, "-a", "a-", "a/b"])
def test_a_name_that_is_no_label_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Cluster(name)


@pytest.mark.parametrize(("field", "value"), [("nodes", 0), ("nodes", 1000), ("port", 70000)])
def test_numbers_out_of_range_are_refused(field: str, value: int) -> None:
    with pytest.raises(ValueError, match="not between"):
        Cluster(**{field: value})  # type: ignore[arg-type]  # the names are the fields'


def test_socket_paths_fit_into_a_socket_address() -> None:
    node = Cluster("a" * 20, nodes=200).members[-1]
    assert len(f"{node.containerd_socket}.ttrpc") < 108


def test_every_node_has_its_three_processes_in_its_own_namespace() -> None:
    units = {unit.name: unit for unit in plan(Cluster(nodes=2))}
    for role in ("containerd", "kubelet", "proxy"):
        assert units[f"{role}-node-2"].netns == "pilothouse-node-2"


def test_only_the_api_server_inherits_the_socket_and_containerd_stops_last() -> None:
    units = plan(Cluster())
    assert [unit.name for unit in units if unit.inherits_api_socket] == ["apiserver"]
    assert not any(LISTEN_FLAG in unit.arguments for unit in units)
    last = max(units, key=lambda unit: unit.stop_order)
    assert last.name == "containerd-node-1"


def _machine(version: tuple[int, int]) -> Machine:
    return Machine(version, "native", True, Path("/usr/lib/cni"))


@pytest.mark.parametrize("version", [(1, 6), (1, 7), (2, 0), (2, 1)])
def test_containerd_keeps_to_the_nodes_directories(version: tuple[int, int]) -> None:
    node = Cluster("x").members[0]
    text = configuration(node, _machine(version))
    tomllib.loads(text)
    assert "restrict_oom_score_adj = true" in text
    assert f'root = "{node.state}/containerd"' in text
    assert "/var/lib/containerd" not in text
    assert "/run/containerd" not in text


def test_containerd_is_told_in_the_language_it_knows() -> None:
    node = Cluster("x").members[0]
    old, new = (tomllib.loads(configuration(node, _machine(it))) for it in ((1, 7), (2, 1)))
    assert (old["version"], new["version"]) == (2, 3)
    before = old["plugins"]["io.containerd.grpc.v1.cri"]
    images = new["plugins"]["io.containerd.cri.v1.images"]
    runtime = new["plugins"]["io.containerd.cri.v1.runtime"]
    assert images["pinned_images"]["sandbox"] == before["sandbox_image"]
    assert images["snapshotter"] == before["containerd"]["snapshotter"]
    assert images["registry"] == before["registry"]
    assert runtime["containerd"]["runtimes"] == before["containerd"]["runtimes"]
    assert runtime["cni"]["bin_dirs"] == [before["cni"]["bin_dir"]]
    assert new["plugins"]["io.containerd.grpc.v1.cri"].keys() < before.keys()


def test_another_containerd_is_taken_with_what_lies_beside_it() -> None:
    cluster = Cluster("x", containerd="/opt/new/bin/containerd")
    (unit,) = (unit for unit in plan(cluster) if unit.name == "containerd-node-1")
    assert unit.arguments[0] == "/opt/new/bin/containerd"
    assert environment(cluster)["PATH"].startswith("/opt/new/bin:")


def test_our_cri_server_stands_between_the_kubelet_and_containerd() -> None:
    cluster = Cluster(nodes=2, container_runtime=CRI_SHIM)
    units = {unit.name: unit for unit in plan(cluster)}
    shim, kubelet = units["cri-shim-node-2"], units["kubelet-node-2"]
    socket = f"unix://{cluster.members[1].cri_socket}"
    assert f"--listen={socket}" in shim.arguments
    assert f"--container-runtime-endpoint={socket}" in kubelet.arguments
    assert shim.netns == kubelet.netns
    assert kubelet.stop_order < shim.stop_order < units["containerd-node-2"].stop_order
    text = configuration(cluster.members[1], _machine((1, 6)))
    (line,) = [line for line in text.splitlines() if line.startswith("disabled_plugins")]
    assert '"io.containerd.grpc.v1.cri"' in line


def test_a_runtime_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="containerd, cri-shim"):
        Cluster(container_runtime="docker")


def test_a_shim_is_found_as_old_and_as_new_ones_say_where(tmp_path: Path) -> None:
    (tmp_path / "address").write_text("unix:///run/containerd/s/old")
    assert shim_address(tmp_path) == "unix:///run/containerd/s/old"
    (tmp_path / "bootstrap.json").write_text('{"version":3,"address":"unix:///run/containerd/s/x"}')
    assert shim_address(tmp_path) == "unix:///run/containerd/s/x"


def test_what_says_no_version_is_refused() -> None:
    with pytest.raises(RuntimeError, match="--version says"):
        version("/bin/true")
    with pytest.raises(RuntimeError, match="No such file"):
        version("/no/containerd")
