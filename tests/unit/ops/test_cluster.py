"""A cluster's names and addresses, and the processes it is made of."""

import pytest

from pilothouse.ops.local.cluster import CRI_SHIM, Cluster
from pilothouse.ops.local.containerd import configuration
from pilothouse.ops.local.services import LISTEN_FLAG, plan


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


def test_containerd_keeps_to_the_nodes_directories() -> None:
    node = Cluster("x").members[0]
    text = configuration(node, snapshotter="overlayfs", restrict_oom_score_adj=True)
    assert "restrict_oom_score_adj = true" in text
    assert f'root = "{node.state}/containerd"' in text
    assert "/var/lib/containerd" not in text
    assert "/run/containerd" not in text


def test_our_cri_server_stands_between_the_kubelet_and_containerd() -> None:
    cluster = Cluster(nodes=2, container_runtime=CRI_SHIM)
    units = {unit.name: unit for unit in plan(cluster)}
    shim, kubelet = units["cri-shim-node-2"], units["kubelet-node-2"]
    socket = f"unix://{cluster.members[1].cri_socket}"
    assert f"--listen={socket}" in shim.arguments
    assert f"--container-runtime-endpoint={socket}" in kubelet.arguments
    assert shim.netns == kubelet.netns
    assert kubelet.stop_order < shim.stop_order < units["containerd-node-2"].stop_order
    text = configuration(cluster.members[1], snapshotter="native", restrict_oom_score_adj=True)
    (line,) = [line for line in text.splitlines() if line.startswith("disabled_plugins")]
    assert '"io.containerd.grpc.v1.cri"' in line


def test_a_runtime_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="containerd, cri-shim"):
        Cluster(container_runtime="docker")
