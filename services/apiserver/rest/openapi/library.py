"""The documents of OpenAPI, built when they are asked for and kept compressed."""

import asyncio
import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from pilothouse.services.apiserver.kinds.catalog import Catalog
from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.kinds.schemas import Schemas
from pilothouse.services.apiserver.rest.openapi import about, custom, v2, v3
from pilothouse.services.apiserver.rest.openapi.definitions import Words
from pilothouse.services.apiserver.rest.openapi.operation import Operation
from pilothouse.services.apiserver.rest.openapi.operations import operations
from pilothouse.services.machinery.protobuf import openapi as packed

Document: TypeAlias = dict[str, Any]

JSON, PROTOBUF = "json", "protobuf"
SWAGGER = ""
"""The key of the one document of v2."""
# Told apart from documents that an older server of the same version made.
_EDITION = b"2"


@dataclass(frozen=True, slots=True)
class Kept:
    """A document, compressed; ``tag`` is what its JSON form is known by."""

    tag: str
    compressed: bytes


class Library:
    """Knows which documents there are and what they are known by, without building them."""

    def __init__(self, catalog: Catalog, schemas: Schemas, version: str) -> None:
        self._catalog = catalog
        self._schemas = schemas
        self._version = version
        self._kept: dict[tuple[str, str], Kept] = {}
        self._tags: tuple[int, dict[str, str]] = (-1, {})
        self._building = asyncio.Lock()

    def tags(self) -> dict[str, str]:
        """The hash of every document of v3 by its path, and of v2's; of what they are made of."""
        generation, tags = self._tags
        if generation != self._catalog.generation:
            tags = dict(self._hashes())
            self._tags = (self._catalog.generation, tags)
            for key in [key for key, kept in self._kept.items() if tags.get(key[0]) != kept.tag]:
                del self._kept[key]
        return tags

    async def document(self, path: str, form: str) -> Kept:
        """The document of ``path``, which is one of :meth:`tags`, as JSON or protobuf.

        Built in a thread, one at a time: the loop goes on and memory has one peak.
        """
        async with self._building:
            tag = self.tags()[path]
            kept = self._kept.get((path, form))
            if kept is None:
                build = self._swagger() if path == SWAGGER else self._document(path)
                compressed = await asyncio.to_thread(_written, build, form, v2=path == SWAGGER)
                kept = self._kept[(path, form)] = Kept(tag, compressed)
            return kept

    def _hashes(self) -> Iterator[tuple[str, str]]:
        whole = hashlib.sha512(self._version.encode() + _EDITION)
        groups = self._catalog.groups()
        for path in about.documents(self._builtin_groups()):
            digest = hashlib.sha512(f"{self._version} {path}".encode() + _EDITION)
            yield path, digest.hexdigest().upper()
        for group, versions in groups.items():
            for version in versions:
                digest = hashlib.sha512(self._version.encode() + _EDITION)
                for kind in self._catalog.of_version(group, version):
                    for part in self._ingredients(kind):
                        digest.update(part)
                        whole.update(part)
                yield _path(group, version), digest.hexdigest().upper()
        yield SWAGGER, whole.hexdigest().upper()

    def _ingredients(self, kind: Kind) -> Iterator[bytes]:
        yield repr((
            kind.api_version, kind.plural, kind.kind, kind.namespaced, kind.verbs, kind.definition,
            sorted(kind.subresources.items()),
        )).encode()  # fmt: skip
        if not self._catalog.builtin(kind.group) and kind.definition in self._schemas:
            yield msgspec.json.encode(self._schemas.copy(kind.definition))

    def _builtin_groups(self) -> dict[str, list[str]]:
        groups = self._catalog.groups()
        return {name: each for name, each in groups.items() if self._catalog.builtin(name)}

    def _document(self, path: str) -> Callable[[], Document]:
        """How to build it, from values that no other thread changes."""
        own: Document = {}
        found = about.documents(self._builtin_groups()).get(path)
        if found is None:
            group, version = _group_version(path)
            found = list(self._operations(group, version))
            own = self._custom(group, version, "v3")
        return lambda: v3.document(found, self._schemas, own, self._version)

    def _swagger(self) -> Callable[[], Document]:
        found = [each for many in about.documents(self._builtin_groups()).values() for each in many]
        own: Document = {}
        for group, versions in self._catalog.groups().items():
            for version in versions:
                found += self._operations(group, version)
                own |= self._custom(group, version, "v2")
        return lambda: v2.document(found, self._schemas, own, self._version)

    def _operations(self, group: str, version: str) -> Iterator[Operation]:
        builtin = self._catalog.builtin(group)
        if builtin:
            yield about.resources(group, version)
        for kind in self._catalog.of_version(group, version):
            yield from operations(kind, builtin=builtin)

    def _custom(self, group: str, version: str, words: Words) -> Document:
        if self._catalog.builtin(group):
            return {}
        return custom.definitions(self._catalog.of_version(group, version), self._schemas, words)


def _written(build: Callable[[], Document], form: str, *, v2: bool) -> bytes:
    document = build()
    if form == JSON:
        content = msgspec.json.encode(document)
    else:
        content = packed.encode_v2(document) if v2 else packed.encode_v3(document)
    compressor = zlib.compressobj(level=6, wbits=31)
    return compressor.compress(content) + compressor.flush()


def plain(kept: Kept) -> bytes:
    """What was compressed; some milliseconds."""
    return zlib.decompress(kept.compressed, wbits=31)


def _path(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _group_version(path: str) -> tuple[str, str]:
    *group, version = path.split("/")[1:]
    return "/".join(group), version
