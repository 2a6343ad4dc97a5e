"""Names of images, as Docker and containerd read them.

``busybox`` means ``docker.io/library/busybox:latest``; ``host:5000/a/b@sha256:…`` means itself.
"""

import re
from dataclasses import dataclass

from typing_extensions import override

DEFAULT_DOMAIN = "docker.io"
OLD_DOMAIN = "index.docker.io"
OFFICIAL = "library/"
DEFAULT_TAG = "latest"
NAME_LENGTH_MAX = 255

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")
_BARE_ID = re.compile(r"[a-f0-9]{64}")
_HEX_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


class InvalidReference(ValueError):
    """The text names no image; the message says why, as Docker does."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One image's name in full; ``tag`` or ``digest`` may be empty, not both."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """``docker.io/library/busybox``."""
        return f"{self.domain}/{self.path}"

    @property
    def object(self) -> str:
        """What a registry is asked for: the digest where there is one, else the tag."""
        return self.digest or self.tag

    @override
    def __str__(self) -> str:
        """With a digest the tag says nothing more, and is left out."""
        if self.digest:
            return f"{self.repository}@{self.digest}"
        return f"{self.repository}:{self.tag}"


def parse(text: str) -> Reference:
    """The full name; InvalidReference where the text is none."""
    if not text:
        raise InvalidReference("invalid reference format")
    if _BARE_ID.fullmatch(text):
        raise InvalidReference(
            f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
        )
    rest, at, digest = text.partition("@")
    if at:
        _check_digest(digest)
    domain, rest = _split_domain(rest)
    path, colon, tag = rest.partition(":")
    if path.lower() != path:
        raise InvalidReference(
            f"invalid reference format: repository name ({path}) must be lowercase"
        )
    if not _PATH.fullmatch(path) or not _DOMAIN.fullmatch(domain):
        raise InvalidReference("invalid reference format")
    if colon and not _TAG.fullmatch(tag):
        raise InvalidReference("invalid reference format")
    if len(path) > NAME_LENGTH_MAX:
        raise InvalidReference(
            f"repository name must not be more than {NAME_LENGTH_MAX} characters"
        )
    if not colon and not at:
        tag = DEFAULT_TAG
    return Reference(domain, path, tag, digest)


def _split_domain(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    is_host = "." in first or ":" in first or first == "localhost" or first.lower() != first
    if not slash or not is_host:
        first, rest = DEFAULT_DOMAIN, text
    if first == OLD_DOMAIN:
        first = DEFAULT_DOMAIN
    if first == DEFAULT_DOMAIN and "/" not in rest:
        rest = OFFICIAL + rest
    return first, rest


def _check_digest(digest: str) -> None:
    if not _DIGEST.fullmatch(digest):
        raise InvalidReference("invalid reference format")
    algorithm, _, encoded = digest.partition(":")
    length = _HEX_LENGTHS.get(algorithm)
    if length is None:
        raise InvalidReference("unsupported digest algorithm")
    if len(encoded) != length or encoded.lower() != encoded:
        raise InvalidReference("invalid checksum digest length")
