"""The same images as repositories on the disk, in the layout that Debian's docker-registry serves.

    blobs/sha256/<aa>/<digest>/data
    repositories/<name>/_layers/sha256/<digest>/link
    repositories/<name>/_manifests/revisions/sha256/<digest>/link
    repositories/<name>/_manifests/tags/<tag>/current/link

A link is a file that holds ``sha256:<digest>``. Written once, served read-only.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from pilothouse.ops.images.archive import NAME_ANNOTATION, Image, describe

HOST = "docker.io/"


def write(root: Path, images: Sequence[Image]) -> None:
    """Replace the repositories below ``root`` by those of ``images`` whose name is on docker.io."""
    fresh = root.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    top = fresh / "docker/registry/v2"
    for image in images:
        blobs: dict[str, bytes] = {}
        for descriptor in describe(image, blobs):
            name, _, tag = descriptor["annotations"][NAME_ANNOTATION].rpartition(":")
            if name.startswith(HOST):
                _tag(top, name.removeprefix(HOST), tag, descriptor["digest"], blobs)
    shutil.rmtree(root, ignore_errors=True)
    fresh.rename(root)


def _tag(top: Path, name: str, tag: str, digest: str, blobs: dict[str, bytes]) -> None:
    for blob_digest, blob in blobs.items():
        _write(top / "blobs/sha256" / blob_digest[:2] / blob_digest / "data", blob)
    repository = top / "repositories" / name
    manifest = json.loads(blobs[digest.removeprefix("sha256:")])
    for part in [manifest["config"], *manifest["layers"]]:
        _link(repository / "_layers", part["digest"])
    _link(repository / "_manifests/revisions", digest)
    _link(repository / "_manifests/tags" / tag / "index", digest)
    _write(repository / "_manifests/tags" / tag / "current/link", digest.encode())


def _link(directory: Path, digest: str) -> None:
    _write(directory / "sha256" / digest.removeprefix("sha256:") / "link", digest.encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
