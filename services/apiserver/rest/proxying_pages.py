"""What a proxied server says of its own addresses, rewritten to lead through the proxy. Pure.

Absolute paths get the proxy's path in front, in ``Location`` and in the links of HTML.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

HELD_BYTES_MAX = 64 * 1024
"""How much of an unfinished tag is held back; a longer one passes as it is."""

_LINKS = {
    "a": "href", "applet": "codebase", "area": "href", "audio": "src", "base": "href",
    "blockquote": "cite", "body": "background", "button": "formaction", "command": "icon",
    "del": "cite", "embed": "src", "form": "action", "frame": "longdesc|src", "head": "profile",
    "html": "manifest", "iframe": "longdesc|src", "img": "longdesc|src|usemap",
    "input": "src|formaction|usemap", "ins": "cite", "link": "href",
    "object": "classid|codebase|data|usemap", "q": "cite", "script": "src", "source": "src",
    "track": "src", "video": "poster|src",
}  # fmt: skip
_TAG = re.compile(
    rf"<({'|'.join(_LINKS)})(?=[\s/])((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>", re.IGNORECASE
)
_ATTRIBUTES = {
    tag: re.compile(
        rf"(\s(?:{names})\s*=\s*)(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))", re.IGNORECASE
    )
    for tag, names in _LINKS.items()
}


@dataclass(frozen=True, slots=True)
class Ways:
    """``prepend`` is the path of the proxy itself; the two hosts are names of the same server."""

    prepend: str
    backend: str
    asked: str

    def rewritten(self, address: str) -> str:
        """An address of the backend as the client must ask for it."""
        try:
            parts = urlsplit(address)
        except ValueError:
            return address
        foreign = parts.netloc and parts.netloc not in (self.backend, self.asked)
        if foreign or not parts.path.startswith("/"):
            return address
        path = parts.path
        if not path.startswith(self.prepend):
            path = self.prepend.rstrip("/") + path
        return urlunsplit(("", "", path, parts.query, parts.fragment))


class Page:
    """HTML in pieces; text is read as Latin-1, so that any encoding passes unharmed."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        self._held = ""

    def feed(self, chunk: bytes) -> bytes:
        """What may be sent now; an unfinished tag is held back."""
        text = self._held + chunk.decode("latin-1")
        cut = text.rfind("<")
        if cut < 0 or ">" in text[cut:] or len(text) - cut > HELD_BYTES_MAX:
            cut = len(text)
        self._held = text[cut:]
        return self._rewrite(text[:cut])

    def end(self) -> bytes:
        """What was held back."""
        held, self._held = self._held, ""
        return self._rewrite(held)

    def _rewrite(self, text: str) -> bytes:
        return "".join(self._pieces(text)).encode("latin-1")

    def _pieces(self, text: str) -> Iterator[str]:
        position = 0
        for match in _TAG.finditer(text):
            yield text[position : match.start(2)]
            yield _ATTRIBUTES[match[1].lower()].sub(self._attribute, match[2])
            position = match.end(2)
        yield text[position:]

    def _attribute(self, match: re.Match[str]) -> str:
        value = next(group for group in match.groups()[1:] if group is not None)
        quote = "'" if match[3] is not None else '"'
        return f"{match[1]}{quote}{self._ways.rewritten(value)}{quote}"
