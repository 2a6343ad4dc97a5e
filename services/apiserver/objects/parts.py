"""What the request path works with, put together once at start."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from pilothouse.services.apiserver.allocation.allocator import Allocator
from pilothouse.services.apiserver.allocation.claims import Claims
from pilothouse.services.apiserver.cache.cache import Cache
from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.kinds.schemas import Schemas
from pilothouse.services.apiserver.objects.owned import EVENT_SECONDS
from pilothouse.services.apiserver.ports import Authorizer, Computed, Storage, TokenIssuer
from pilothouse.services.machinery import names
from pilothouse.services.machinery.fields.types import Types
from pilothouse.services.machinery.protobuf.messages import published
from pilothouse.services.machinery.schema.shape import Shapes
from pilothouse.services.machinery.schema.walker import Walkers
from pilothouse.services.runtime.clock import Clock

_POOL_BYTES = 4096
_UID_BYTES = 16
_SUFFIX_BYTES = 7
_LETTERS = len(names.SUFFIX_ALPHABET)


class Entropy:
    """Where uids and the ends of generated names come from.

    The kernel is asked for many bytes at a time, and none is used twice.
    """

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0

    def uid(self) -> str:
        """A random UUID (version 4)."""
        text = self._take(_UID_BYTES).hex()
        variant = "89ab"[int(text[16], 16) & 3]
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"

    def _take(self, count: int) -> bytes:
        if self._used + count > len(self._pool):
            self._pool, self._used = secrets.token_bytes(_POOL_BYTES), 0
        start, self._used = self._used, self._used + count
        return self._pool[start : self._used]

    def suffix(self) -> str:
        """Five characters that form no word."""
        number = int.from_bytes(self._take(_SUFFIX_BYTES), "big")
        letters = ""
        for _ in range(names.SUFFIX_LENGTH):
            letters += names.SUFFIX_ALPHABET[number % _LETTERS]
            number //= _LETTERS
        return letters


@dataclass(frozen=True)
class Parts:
    """``computed`` is by plural: the kinds that are answered and not stored.

    ``event_seconds`` is how long an event is kept.
    """

    storage: Storage
    cache: Cache
    catalog: Catalog
    schemas: Schemas
    authorizer: Authorizer
    tokens: TokenIssuer
    clock: Clock
    allocator: Allocator
    event_seconds: int = EVENT_SECONDS
    computed: Mapping[str, Computed] = field(default_factory=dict)
    entropy: Entropy = field(default_factory=Entropy)
    walkers: Walkers = field(init=False)
    shapes: Shapes = field(init=False)
    types: Types = field(init=False)
    claims: Claims = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "walkers", Walkers(self.schemas.definition))
        object.__setattr__(self, "shapes", Shapes(self.schemas.definition))
        claims = Claims(self.allocator, self.storage, self.cache, self.clock)
        object.__setattr__(self, "claims", claims)
        object.__setattr__(self, "types", Types(self.schemas.definition, published()))
