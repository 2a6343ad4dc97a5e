"""Manifests and image configurations, of Docker and of OCI: what is read of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
INDEXES = frozenset({DOCKER_LIST, OCI_INDEX})
MANIFESTS = frozenset({DOCKER_MANIFEST, OCI_MANIFEST})
ACCEPT = (DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX)
FOREIGN = ".foreign."
LAYERS_MAX = 512
MANIFEST_BYTES_MAX = 8 * 1024 * 1024

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_DEFAULT_VARIANTS = {"arm64": "v8", "arm": "v7"}


class InvalidImage(ValueError):
    """What the registry gave is no image; the message says why."""


class Platform(msgspec.Struct, frozen=True, rename={"os_version": "os.version"}):
    """Where an image runs."""

    os: str = ""
    architecture: str = ""
    variant: str = ""
    os_version: str = ""


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """A blob: what it is, its digest and its length in bytes."""

    digest: str
    size: int
    media_type: str = ""
    platform: Platform | None = None
    annotations: dict[str, str] = {}


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """One image for one platform."""

    config: Descriptor
    layers: list[Descriptor] = []
    media_type: str = ""


class Index(msgspec.Struct, frozen=True, rename="camel"):
    """The same image for several platforms."""

    manifests: list[Descriptor] = []
    media_type: str = ""


class Execution(msgspec.Struct, frozen=True, rename="pascal"):
    """How containers of an image run, when nobody says otherwise."""

    user: str = ""
    env: list[str] | None = None
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    working_dir: str = ""
    stop_signal: str = ""
    volumes: dict[str, Any] | None = None
    labels: dict[str, str] | None = None


class RootFs(msgspec.Struct, frozen=True):
    """Digests of the layers' plain content, lowest first."""

    diff_ids: list[str] = []


class Config(msgspec.Struct, frozen=True):
    """The image configuration: a blob of its own."""

    config: Execution | None = None
    rootfs: RootFs = msgspec.field(default_factory=RootFs)
    os: str = ""
    architecture: str = ""
    variant: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """Who runs in an image: a number, or a name to be looked up in its ``/etc/passwd``."""

    uid: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A manifest or an index; the other one is None."""

    media_type: str
    manifest: Manifest | None = None
    index: Index | None = None
    children: Sequence[Descriptor] = field(default=())


def host_platform(machine: str) -> Platform:
    """Of this machine, by what ``uname -m`` calls it."""
    architecture = _MACHINES.get(machine, machine)
    return Platform("linux", architecture, _DEFAULT_VARIANTS.get(architecture, ""))


def parse(media_type: str, content: bytes) -> Parsed:
    """InvalidImage when it is neither, or lies about which it is."""
    try:
        body = json.loads(content)
    except ValueError as error:
        raise InvalidImage(f"manifest is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise InvalidImage("manifest is no object")
    if body.get("schemaVersion") == 1:
        raise InvalidImage("manifests of schema version 1 are not supported")
    kind = media_type or str(body.get("mediaType") or "")
    if kind not in INDEXES | MANIFESTS:
        kind = OCI_INDEX if "manifests" in body else OCI_MANIFEST
    _check_shape(kind, body)
    try:
        if kind in INDEXES:
            index = msgspec.convert(body, Index)
            return Parsed(kind, index=index, children=tuple(index.manifests))
        manifest = msgspec.convert(body, Manifest)
    except msgspec.ValidationError as error:
        raise InvalidImage(f"manifest: {error}") from error
    if len(manifest.layers) > LAYERS_MAX:
        raise InvalidImage(f"{len(manifest.layers)} layers, {LAYERS_MAX} at most")
    return Parsed(kind, manifest=manifest, children=(manifest.config, *manifest.layers))


def _check_shape(kind: str, body: Mapping[str, Any]) -> None:
    """One text must not be a manifest to some and an index to others (CVE-2021-41190)."""
    foreign = {"manifests"} if kind in MANIFESTS else {"config", "layers"}
    found = sorted(foreign & body.keys())
    if found:
        raise InvalidImage(f"{kind} must not have {', '.join(found)}")


def choose(index: Index, wanted: Platform) -> Descriptor | None:
    """The entry that runs on ``wanted``: its own variant first, then one that names none."""
    known = [item for item in index.manifests if item.media_type in INDEXES | MANIFESTS | {""}]
    fitting = [item for item in known if _rank(item.platform, wanted) is not None]
    if fitting:
        return min(fitting, key=lambda item: _rank(item.platform, wanted) or 0)
    bare = [item for item in known if item.platform is None]
    return bare[0] if bare else None


def _rank(platform: Platform | None, wanted: Platform) -> int | None:
    if platform is None or platform.os != wanted.os:
        return None
    if platform.architecture != wanted.architecture:
        return None
    variant = platform.variant or _DEFAULT_VARIANTS.get(platform.architecture, "")
    if variant == wanted.variant:
        return 0
    # A lower variant of the same architecture runs too, the nearest one best.
    return 10 - _level(variant) if _level(variant) < _level(wanted.variant) else None


def _level(variant: str) -> int:
    digits = variant.removeprefix("v")
    return int(digits) if digits.isdecimal() else 0


def config_of(content: bytes) -> Config:
    """The configuration; InvalidImage when the bytes are none."""
    try:
        return msgspec.json.decode(content, type=Config)
    except msgspec.DecodeError as error:
        raise InvalidImage(f"image configuration: {error}") from error


def user_of(config: Config) -> User:
    """As CRI tells it: a number or a name, or neither where the image does not say."""
    text = config.config.user if config.config else ""
    name = text.partition(":")[0]
    if name.isdecimal():
        return User(uid=int(name))
    return User(name=name)
