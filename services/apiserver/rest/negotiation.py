"""In which shape and encoding a client wants its answer. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pilothouse.services.apiserver.requests import PatchType
from pilothouse.services.machinery.errors import NotAcceptable, UnsupportedMediaType

Encoding = Literal["json", "yaml", "protobuf"]

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
_ENCODINGS: dict[str, Encoding] = {
    JSON: "json", YAML: "yaml", "application/*": "json", "*/*": "json", PROTOBUF: "protobuf",
}  # fmt: skip
MEDIA_TYPES: dict[Encoding, str] = {"json": JSON, "yaml": YAML, "protobuf": PROTOBUF}

META_GROUP = "meta.k8s.io"
DISCOVERY_GROUP = "apidiscovery.k8s.io"
SHAPES = frozenset({
    ("Table", META_GROUP, "v1"),
    ("PartialObjectMetadata", META_GROUP, "v1"),
    ("PartialObjectMetadataList", META_GROUP, "v1"),
    ("APIGroupDiscoveryList", DISCOVERY_GROUP, "v2"),
})  # fmt: skip
# Documents that have no message in protobuf.
_JSON_SHAPES = frozenset({"Table"})

PATCH_TYPES: dict[str, PatchType] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """An encoding, and a shape: empty for the object itself."""

    encoding: Encoding = "json"
    shape: str = ""


PLAIN = Accepted()


@dataclass(frozen=True, slots=True)
class Clause:
    """One media type of an ``Accept`` header, in lower case, with its parameters."""

    media_type: str
    parameters: dict[str, str]

    @property
    def quality(self) -> float:
        """How much it is wanted, from 0 (not at all) to 1."""
        try:
            return float(self.parameters.get("q", "1"))
        except ValueError:
            return 0.0


@lru_cache(maxsize=512)
def accepted(header: str, shapes: frozenset[str], *, packs: bool = True) -> Accepted:
    """The first clause of an ``Accept`` header that can be met with one of ``shapes``.

    ``packs`` says whether the plain object has a message in protobuf; custom ones have none.

    Raises:
        NotAcceptable: nothing the client takes can be given.
    """
    if not header:
        return PLAIN
    found = _first(clauses(header), shapes, packs=packs)
    if found is None:
        types = (JSON, YAML, PROTOBUF) if packs else (JSON, YAML)
        raise NotAcceptable(f"only the following media types are accepted: {', '.join(types)}")
    return found


def clauses(header: str) -> list[Clause]:
    """The clauses of an ``Accept`` header, the most wanted first."""
    return sorted(map(_clause, header.split(",")), key=lambda clause: -clause.quality)


@lru_cache(maxsize=512)
def takes_protobuf_first(header: str) -> bool:
    """Whether even a refusal must be protobuf, whatever the shape that was asked for."""
    known = (_ENCODINGS.get(clause.media_type) for clause in clauses(header))
    return next(filter(None, known), "json") == "protobuf"


def _first(asked: Sequence[Clause], shapes: frozenset[str], *, packs: bool) -> Accepted | None:
    for clause in asked:
        encoding = _ENCODINGS.get(clause.media_type)
        if encoding is None or clause.quality <= 0:
            continue
        if clause.parameters.get("stream", "watch") != "watch":
            continue
        shape = clause.parameters.get("as", "")
        if not shape:
            if encoding != "protobuf" or packs:
                return Accepted(encoding)
            continue
        named = (shape, clause.parameters.get("g", ""), clause.parameters.get("v", ""))
        given = named in SHAPES and shape in shapes
        if given and not (encoding == "protobuf" and shape in _JSON_SHAPES):
            return Accepted(encoding, shape)
    return None


def _clause(text: str) -> Clause:
    media_type, *pairs = text.split(";")
    parameters: dict[str, str] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        parameters[key.strip().lower()] = value.strip().strip('"')
    return Clause(media_type.strip().lower(), parameters)


@lru_cache(maxsize=128)
def body_encoding(content_type: str) -> Encoding:
    """How a body is to be read; no content type means JSON.

    Raises:
        UnsupportedMediaType: it is none of JSON, YAML and protobuf.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in ("", JSON):
        return "json"
    if media_type in (YAML, "text/yaml"):
        return "yaml"
    if media_type == PROTOBUF:
        return "protobuf"
    raise UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: "
        f"{JSON}, {YAML}, {PROTOBUF}"
    )


@lru_cache(maxsize=128)
def patch_type(content_type: str) -> PatchType:
    """Which kind of patch a content type announces; UnsupportedMediaType for none."""
    media_type = content_type.partition(";")[0].strip().lower()
    found = PATCH_TYPES.get(media_type)
    if found is None:
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: "
            + ", ".join(PATCH_TYPES)
        )
    return found
