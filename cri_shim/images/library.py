"""The images that containerd has, as CRI sees them: by the digest of their configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pilothouse.cri_shim.images import manifests
from pilothouse.cri_shim.images.chains import chain_ids
from pilothouse.cri_shim.images.manifests import (
    Config,
    Descriptor,
    InvalidImage,
    Manifest,
    Platform,
)
from pilothouse.cri_shim.images.ports import Named, Store
from pilothouse.cri_shim.ports import ImageConfig
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.images import InvalidReference, parse

PINNED = "io.cri-containerd.pinned"
DIGEST = "sha256:"


@dataclass(frozen=True, slots=True)
class Content:
    """What a target says, for this platform."""

    id: str
    target: Descriptor
    manifest: Manifest
    config: Config
    text: bytes
    size: int

    @property
    def chain_id(self) -> str:
        """The topmost snapshot; empty for an image without layers."""
        chain = chain_ids(self.config.rootfs.diff_ids)
        return chain[-1] if chain else ""


@dataclass(frozen=True, slots=True)
class Image:
    """One image with all its names."""

    content: Content
    names: tuple[str, ...]
    pinned: bool = False

    @property
    def id(self) -> str:
        """``sha256:…`` of its configuration."""
        return self.content.id

    @property
    def tags(self) -> list[str]:
        """Names with a tag."""
        return [name for name in self.names if "@" not in name and not name.startswith(DIGEST)]

    @property
    def digests(self) -> list[str]:
        """Names with the manifest's digest."""
        return [name for name in self.names if "@" in name]

    def configuration(self) -> ImageConfig:
        """For containers of it."""
        said = self.content.config.config or manifests.Execution()
        return ImageConfig(
            id=self.id,
            ref=next(iter((*self.digests, *self.tags)), self.id),
            name=next(iter((*self.tags, *self.digests)), self.id),
            chain_id=self.content.chain_id,
            entrypoint=tuple(said.entrypoint or ()),
            cmd=tuple(said.cmd or ()),
            env=tuple(said.env or ()),
            user=said.user,
            working_dir=said.working_dir,
            stop_signal=said.stop_signal,
            volumes=tuple(said.volumes or ()),
            labels=said.labels or {},
        )


class Library:
    """Reads what is there; what a digest stands for never changes, so it is read once."""

    def __init__(self, store: Store, platform: Platform) -> None:
        self._store = store
        self._platform = platform
        self._contents: dict[str, Content] = {}

    async def images(self) -> list[Image]:
        """All that are complete, by id."""
        by_id: dict[str, list[Named]] = {}
        contents: dict[str, Content] = {}
        named = await self._store.names()
        for item in named:
            content = await self._known(item.target)
            if content is not None:
                contents[content.id] = content
                by_id.setdefault(content.id, []).append(item)
        used = {item.target.digest for item in named}
        self._contents = {key: kept for key, kept in self._contents.items() if key in used}
        return [_image(contents[id_], by_id[id_]) for id_ in sorted(by_id)]

    async def find(self, ref: str) -> Image | None:
        """By a name, however short, by id, or by an unambiguous beginning of an id."""
        return choose(await self.images(), ref)

    async def read(self, target: Descriptor) -> Content:
        """NotFound when something of it is missing, InvalidImage when it is none."""
        known = self._contents.get(target.digest)
        if known is not None:
            return known
        manifest, size = await self._manifest(target)
        text = await self._store.read(manifest.config.digest)
        config = manifests.config_of(text)
        if len(config.rootfs.diff_ids) != len(manifest.layers):
            raise InvalidImage(f"{target.digest}: number of layers and diffIDs don't match")
        size += manifest.config.size + sum(layer.size for layer in manifest.layers)
        found = Content(manifest.config.digest, target, manifest, config, text, size)
        self._contents[target.digest] = found
        return found

    async def _manifest(self, target: Descriptor) -> tuple[Manifest, int]:
        content = await self._store.read(target.digest)
        parsed = manifests.parse(target.media_type, content)
        if parsed.index is None:
            assert parsed.manifest is not None  # noqa: S101 - it is one of the two
            return parsed.manifest, len(content)
        chosen = manifests.choose(parsed.index, self._platform)
        if chosen is None:
            raise NotFound(f"{target.digest}: no match for platform in manifest")
        manifest, size = await self._manifest(chosen)
        return manifest, size + len(content)

    async def _known(self, target: Descriptor) -> Content | None:
        try:
            return await self.read(target)
        except (NotFound, InvalidImage):
            return None


def choose(images: Sequence[Image], ref: str) -> Image | None:
    """The one image that ``ref`` means."""
    for image in images:
        if ref == image.id or ref in image.names:
            return image
    try:
        full = str(parse(ref))
    except InvalidReference:
        full = ""
    for image in images:
        if full and full in image.names:
            return image
    short = ref if ref.startswith(DIGEST) else DIGEST + ref
    found = [image for image in images if ref and image.id.startswith(short)]
    return found[0] if len(found) == 1 else None


def _image(content: Content, named: Sequence[Named]) -> Image:
    names = tuple(sorted(item.name for item in named))
    return Image(content, names, any(_is_pinned(item.labels) for item in named))


def _is_pinned(labels: Mapping[str, str]) -> bool:
    return labels.get(PINNED) == "pinned"
