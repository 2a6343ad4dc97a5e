"""OCI archives: the same input gives the same bytes, and they say what the image is."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from pilothouse.ops.images import archive
from pilothouse.ops.images.archive import Directory, File, Image, Link


def image(*layers: bytes) -> Image:
    return Image(("example/a:1", "example/a:2"), layers, ("/a",), stop_signal="SIGQUIT")


def read(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        members = [member for member in tar.getmembers() if member.isfile()]
        return {member.name: tar.extractfile(member).read() for member in members}  # type: ignore[union-attr]  # files only


def blob(files: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    content = files["blobs/" + descriptor["digest"].replace(":", "/")]
    assert len(content) == descriptor["size"]
    assert hashlib.sha256(content).hexdigest() == descriptor["digest"].split(":")[1]
    return content


def test_order_of_contents_does_not_matter() -> None:
    contents = [File("bin/a", b"a", 0o755), Link("bin/b", "a"), Directory("tmp", 0o1777)]
    assert archive.layer(contents) == archive.layer(reversed(contents))


def test_parents_are_added_and_modes_kept() -> None:
    with tarfile.open(fileobj=io.BytesIO(archive.layer([File("a/b/c", b"x", 0o755)]))) as tar:
        assert [member.name for member in tar] == ["a", "a/b", "a/b/c"]
        assert tar.getmember("a/b/c").mode == 0o755
        assert {(member.uid, member.mtime) for member in tar} == {(0, 0)}


def test_every_name_leads_to_the_same_verified_image(tmp_path: Path) -> None:
    tar = archive.layer([File("a", b"x")])
    archive.write(tmp_path / "images.tar", [image(tar)])
    files = read(tmp_path / "images.tar")
    entries = json.loads(files["index.json"])["manifests"]
    names = [entry["annotations"][archive.NAME_ANNOTATION] for entry in entries]
    assert names == ["example/a:1", "example/a:2"]
    for entry in entries:
        manifest = json.loads(blob(files, entry))
        assert blob(files, manifest["layers"][0]) == tar
        config = json.loads(blob(files, manifest["config"]))
        assert config["config"]["StopSignal"] == "SIGQUIT"
        assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(tar).hexdigest()}"]


def test_a_shared_layer_is_stored_once(tmp_path: Path) -> None:
    shared, own = archive.layer([File("a", b"x")]), archive.layer([File("b", b"y")])
    archive.write(tmp_path / "one.tar", [image(shared), image(shared, own)])
    digest = hashlib.sha256(shared).hexdigest()
    with tarfile.open(tmp_path / "one.tar") as tar:
        assert sum(name.endswith(digest) for name in tar.getnames()) == 1
