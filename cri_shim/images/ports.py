"""What images need of containerd, in their own words."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol, Self

from pilothouse.cri_shim.images.manifests import Descriptor

Source = Callable[[int], AsyncIterator[bytes]]
"""A blob's content from an offset on."""


class Named(NamedTuple):
    """A name and what it points at: a manifest, or an index of several."""

    name: str
    target: Descriptor
    labels: Mapping[str, str]


class Usage(NamedTuple):
    """What snapshots take."""

    bytes: int
    inodes: int


class Content(Protocol):
    """Blobs."""

    async def read(self, digest: str) -> bytes:
        """All of it; NotFound."""

    async def labels(self, digest: str) -> Mapping[str, str]:
        """NotFound when the blob is not there."""

    async def write(self, ref: str, blob: Descriptor, source: Source) -> None:
        """Bring it in, from where an earlier try ended; nothing when it is there.

        What is not as the descriptor says is refused with Invalid, and what came is dropped.
        """

    async def label(self, digest: str, labels: Mapping[str, str]) -> None:
        """Add labels to a blob."""


class Names(Protocol):
    """Image records."""

    async def names(self) -> Sequence[Named]: ...

    async def name(self, named: Named) -> None:
        """Make the record, or point it there."""

    async def forget(self, name: str, *, wait: bool) -> None:
        """Fine when it is gone; with ``wait`` until what nobody needs is collected."""


class Snapshots(Protocol):
    """Unpacked layers."""

    async def has_snapshot(self, name: str) -> bool: ...

    async def unpack(self, layer: Descriptor, parent: str, name: str, diff_id: str) -> None:
        """Commit ``parent`` with the layer on it as ``name``.

        InvalidImage when the digest of its plain content is not ``diff_id``.
        """

    async def usage(self) -> Usage:
        """Of all snapshots together."""


class Store(Content, Names, Snapshots, Protocol):
    """containerd, for images."""

    def leased(self) -> AbstractAsyncContextManager[Self]:
        """The same, keeping all that is brought in until the block ends."""
