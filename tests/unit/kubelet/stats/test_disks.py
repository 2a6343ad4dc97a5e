"""What lies in directories."""

import os

from pilothouse.services.kubelet.adapters.machine.usage import trees
from pilothouse.services.kubelet.adapters.machine.usage.disks import VOLUME_SECONDS, Disks


class _Clock:
    def __init__(self):
        self.time = 100.0

    def now(self):
        return self.time

    def monotonic(self):
        return self.time

    async def sleep(self, seconds):
        self.time += seconds


def test_a_tree_counts_links_once(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"x" * 8192)
    os.link(tmp_path / "below" / "file", tmp_path / "twin")
    (tmp_path / "elsewhere").symlink_to("/usr")
    found = trees.tree(tmp_path, 1.0)
    assert found.inodes_used == 4
    assert 8192 <= found.used_bytes < 65536
    assert found.capacity_bytes > 0
    assert trees.tree(tmp_path / "absent", 1.0) is None


def test_volumes_are_counted_again_after_their_time(tmp_path):
    clock = _Clock()
    disks = Disks(tmp_path, clock)
    place = tmp_path / "pods" / "u-1" / "volumes" / "kubernetes.io~empty-dir" / "data"
    secret = tmp_path / "pods" / "u-1" / "volumes" / "kubernetes.io~secret" / "key"
    place.mkdir(parents=True)
    secret.mkdir(parents=True)
    first = disks.volumes("u-1")
    assert [(item.name, item.local) for item in first] == [("data", True), ("key", False)]
    (place / "more").write_bytes(b"x" * 100_000)
    assert disks.volumes("u-1") == first
    clock.time += VOLUME_SECONDS + 1
    assert disks.volumes("u-1")[0].filesystem.used_bytes >= 100_000
    disks.forget([])
    (place / "more").unlink()
    assert disks.volumes("u-1")[0].filesystem.used_bytes < 100_000
