"""Repositories on the disk: every tag leads to a manifest, every manifest to its blobs."""

import hashlib
import json
from pathlib import Path

from pilothouse.ops.images.archive import File, Image, layer
from pilothouse.ops.images.repositories import write

IMAGE = Image(
    ("docker.io/library/a:1", "docker.io/library/a:2", "elsewhere/a:1"),
    (layer([File("x", b"x")]),),
    arguments=("sh",),
)


def blob(top: Path, digest: str) -> bytes:
    name = digest.removeprefix("sha256:")
    content = (top / "blobs/sha256" / name[:2] / name / "data").read_bytes()
    assert hashlib.sha256(content).hexdigest() == name
    return content


def test_each_tag_leads_to_its_blobs(tmp_path):
    write(tmp_path / "registry", [IMAGE])
    top = tmp_path / "registry/docker/registry/v2"
    assert [path.name for path in (top / "repositories").iterdir()] == ["library"]
    tags = top / "repositories/library/a/_manifests/tags"
    for tag in ("1", "2"):
        manifest = json.loads(blob(top, (tags / tag / "current/link").read_text()))
        assert json.loads(blob(top, manifest["config"]["digest"]))["config"]["Cmd"] == ["sh"]
        for part in manifest["layers"]:
            name = part["digest"].removeprefix("sha256:")
            assert (top / "repositories/library/a/_layers/sha256" / name / "link").is_file()
            assert len(blob(top, part["digest"])) == part["size"]


def test_a_second_write_replaces_the_first(tmp_path):
    write(tmp_path / "registry", [IMAGE])
    write(tmp_path / "registry", [Image(("docker.io/library/b:1",), IMAGE.layers)])
    repositories = tmp_path / "registry/docker/registry/v2/repositories/library"
    assert [path.name for path in repositories.iterdir()] == ["b"]
