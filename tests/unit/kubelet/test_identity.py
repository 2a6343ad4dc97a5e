"""Who a node says that it is, and where logs are kept."""

from pathlib import Path

from pilothouse.services.kubelet.adapters.logs.folders import LogFolders
from pilothouse.services.kubelet.node import node

HERE = node.Machine(4, 1 << 33, 1 << 35, "amd64", "m", "u", "b", "6.1", "Debian")


def test_labels_of_its_own_stand_beside_those_of_every_node() -> None:
    made = node.Identity("n", "10.0.0.1", 10250, 110, labels={"type": "x", "kubernetes.io/os": "y"})
    labels = node.labels(made, HERE)
    assert labels["kubernetes.io/hostname"] == "n"
    assert (labels["type"], labels["kubernetes.io/os"]) == ("x", "y")


def test_log_folders_come_and_go_and_absence_is_no_error(tmp_path: Path) -> None:
    folders, pod = LogFolders(), tmp_path / "ns_pod_uid"
    folders.make(pod / "main")
    folders.make(pod / "main")
    log = pod / "main" / "0.log"
    log.write_text("line\n")
    for _ in range(2):
        folders.remove_file(log)
        assert not log.exists()
    for _ in range(2):
        folders.remove(pod)
        assert not pod.exists()
