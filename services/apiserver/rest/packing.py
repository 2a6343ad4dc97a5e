"""Objects in protobuf, encoded once for all readers of one revision.

What was encoded last is kept, up to a bound of bytes; the JSON that objects are kept as is older
and stays the record.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import msgspec

from pilothouse.services.apiserver.requests import Stored
from pilothouse.services.machinery.errors import NotAcceptable
from pilothouse.services.machinery.protobuf import envelope

BYTES_MAX = 8 * 1024 * 1024
"""Encoded bytes that are kept."""
_ACCEPTED = "only the following media types are accepted: application/json, application/yaml"


class Packing:
    """Encodes objects, and remembers."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[int, tuple[Stored, bytes]] = OrderedDict()

    def object(self, stored: Stored, api_version: str, kind: str) -> bytes:
        """One object in its envelope; NotAcceptable where its kind has no message."""
        return envelope.wrap(api_version, kind, self._framed(stored, api_version, kind))

    def list(
        self, items: Sequence[Stored], api_version: str, kind: str, metadata: dict[str, Any]
    ) -> list[bytes]:
        """A list of objects of ``kind`` in its envelope, in parts that follow each other."""
        framed = [self._framed(stored, api_version, kind) for stored in items]
        return envelope.wrap_list(api_version, kind + "List", metadata, framed)

    def _framed(self, stored: Stored, api_version: str, kind: str) -> bytes:
        # By identity: the kept object holds its id.
        found = self._kept.get(id(stored))
        if found is not None and found[0] is stored:
            self._kept.move_to_end(id(stored))
            return found[1]
        document = {**msgspec.json.decode(stored.json), "apiVersion": api_version, "kind": kind}
        try:
            framed = envelope.framed(document)
        except KeyError:
            raise NotAcceptable(_ACCEPTED) from None
        self._kept[id(stored)] = stored, framed
        self._bytes += len(framed) - (len(found[1]) if found is not None else 0)
        while self._bytes > self._bytes_max:
            _, (_, oldest) = self._kept.popitem(last=False)
            self._bytes -= len(oldest)
        return framed
