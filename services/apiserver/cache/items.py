"""A live object in the cache, and how its bytes come to carry their revision."""

from collections.abc import Callable, Mapping

import msgspec

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.requests import Stored
from pilothouse.services.machinery.objects import Key, Object
from pilothouse.services.machinery.storage import Entry

Fields = Mapping[str, str]
Extract = Callable[[bytes], Fields]

_metadata = msgspec.json.Decoder(Object)
_RV = b'"resourceVersion":"'


class _Labelled(msgspec.Struct, frozen=True):
    labels: dict[str, str] = {}


class _WithLabels(msgspec.Struct, frozen=True):
    metadata: _Labelled = _Labelled()


_labels = msgspec.json.Decoder(_WithLabels)


class Item:
    """A stored object with its labels and selectable fields, read when first asked for.

    ``stale``: the store keeps it in another form (of a version stored before, say) than a write
    gives it now.
    """

    __slots__ = ("_extract", "_fields", "_labels", "stale", "stored")

    def __init__(self, stored: Stored, extract: Extract, *, stale: bool = False) -> None:
        self.stored = stored
        self.stale = stale
        self._extract = extract
        self._labels: Mapping[str, str] | None = None
        self._fields: Fields | None = None

    @property
    def key(self) -> Key:
        return self.stored.key

    @property
    def labels(self) -> Mapping[str, str]:
        if self._labels is None:
            self._labels = _labels.decode(self.stored.json).metadata.labels
        return self._labels

    @property
    def fields(self) -> Fields:
        """The values of the kind's field labels, as text."""
        if self._fields is None:
            self._fields = self._extract(self.stored.json)
        return self._fields


class Encoding:
    """Between what the store keeps (no revision) and what readers get (with it).

    Our own writes always begin with apiVersion, kind and metadata, so this is a splice.
    """

    def __init__(self, kind: Kind) -> None:
        self._head = (
            f'{{"apiVersion":"{kind.api_version}","kind":"{kind.kind}","metadata":{{'.encode()
        )
        self._kind = kind

    def is_own(self, value: bytes) -> bool:
        """Whether a stored ``value`` begins as what is written now does."""
        return value.startswith(self._head)

    def with_revision(self, value: bytes, revision: int) -> bytes:
        """What readers get for a stored ``value``."""
        head = self._head
        if not value.startswith(head):
            value = self._normalize(value)
        return b'%b%b%d",%b' % (head, _RV, revision, value[len(head) :])

    def share(self, entry: Entry, json: bytes) -> None:
        """Have what the store holds in memory lie in what readers get of it: one text, not two."""
        start = len(self._head)
        entry.lie_in(json, start, json.index(b'"', start + len(_RV)) + 2)

    def at_revision(self, json: bytes, revision: int) -> bytes:
        """The same object with another revision."""
        return self.with_revision(self.without_revision(json), revision)

    def without_revision(self, json: bytes) -> bytes:
        """What the store keeps for what readers get."""
        start = len(self._head) + len(_RV)
        return self._head + json[json.index(b'"', start) + 2 :]

    def bare(self, json: bytes) -> bytes:
        """The same for what readers get of any version of the kind."""
        return self._normalize(json)

    def _normalize(self, value: bytes) -> bytes:
        """Somebody else wrote it: put the first three members in our order."""
        fields = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
        metadata = msgspec.json.decode(fields.pop("metadata", b"{}"), type=dict[str, msgspec.Raw])
        metadata.pop("resourceVersion", None)
        fields.pop("apiVersion", None)
        fields.pop("kind", None)
        return msgspec.json.encode(
            {
                "apiVersion": self._kind.api_version,
                "kind": self._kind.kind,
                "metadata": metadata,
                **fields,
            }
        )
