"""OCI image archives, written with nothing but tar, JSON and SHA-256; same input, same bytes."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
NAME_ANNOTATION = "io.containerd.image.name"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class File:
    """A regular file of a layer; ``path`` has no leading slash."""

    path: str
    content: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link of a layer."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of a layer, where its mode matters or it is empty."""

    path: str
    mode: int = 0o755


Content = File | Link | Directory


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its names, its layers from the lowest up, and how its process starts.

    ``command`` is what a container's ``command`` replaces, ``arguments`` what its ``args`` do.
    """

    names: Sequence[str]
    layers: Sequence[bytes]
    command: Sequence[str] = ()
    arguments: Sequence[str] = ()
    stop_signal: str = "SIGTERM"
    ports: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: Sequence[str] = (
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    )


def layer(contents: Iterable[Content]) -> bytes:
    """The layer's tar: entries sorted by path, parents added, owned by root, dated 1970."""
    entries = {content.path: content for content in contents}
    for path in list(entries):
        for parent in Path(path).parents:
            if str(parent) != "." and str(parent) not in entries:
                entries[str(parent)] = Directory(str(parent))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(entries):
            _add(tar, entries[path])
    return buffer.getvalue()


def write(path: Path, images: Sequence[Image]) -> None:
    """Write one archive that holds all ``images``; blobs that they share are stored once."""
    blobs: dict[str, bytes] = {}
    manifests = [entry for image in images for entry in describe(image, blobs)]
    index = {"schemaVersion": 2, "manifests": manifests}
    contents: list[Content] = [
        File("oci-layout", _json({"imageLayoutVersion": "1.0.0"})),
        File("index.json", _json(index)),
    ]
    contents += [File(f"blobs/sha256/{digest}", blob) for digest, blob in blobs.items()]
    fresh = path.with_suffix(".new")
    fresh.write_bytes(layer(contents))
    fresh.replace(path)


def describe(image: Image, blobs: dict[str, bytes]) -> list[dict[str, Any]]:
    """The manifest's descriptor under each name; every blob goes to ``blobs`` by its digest."""
    config = {
        "architecture": _ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {
            "Env": list(image.environment),
            "Entrypoint": list(image.command),
            "Cmd": list(image.arguments),
            "ExposedPorts": {port: {} for port in image.ports},
            "StopSignal": image.stop_signal,
            "Labels": dict(image.labels),
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in image.layers],
        },
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _keep(CONFIG_TYPE, _json(config), blobs),
        "layers": [_keep(LAYER_TYPE, tar, blobs) for tar in image.layers],
    }
    descriptor = _keep(MANIFEST_TYPE, _json(manifest), blobs)
    return [{**descriptor, "annotations": {NAME_ANNOTATION: name}} for name in image.names]


def _keep(kind: str, blob: bytes, blobs: dict[str, bytes]) -> dict[str, Any]:
    digest = hashlib.sha256(blob).hexdigest()
    blobs[digest] = blob
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(blob)}


def _add(tar: tarfile.TarFile, content: Content) -> None:
    entry = tarfile.TarInfo(content.path)
    match content:
        case File(content=data, mode=mode):
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
        case Link(target=target):
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
            tar.addfile(entry)
        case Directory(mode=mode):
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
