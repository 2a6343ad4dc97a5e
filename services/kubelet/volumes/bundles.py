"""Trust anchors of one ClusterTrustBundle, or of several, as one file of PEM. Pure."""

import base64
import binascii
import re
from collections.abc import Iterable

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_LINE = 64


def combine(bundles: Iterable[str]) -> bytes:
    """Each anchor once, without headers or comments, in an order that says nothing."""
    anchors: set[bytes] = set()
    for text in bundles:
        for block in _BLOCK.finditer(text):
            # Headers end with an empty line.
            encoded = block[1].strip().rpartition("\n\n")[2]
            try:
                anchors.add(base64.b64decode("".join(encoded.split()), validate=True))
            except binascii.Error:
                continue
    return b"".join(_pem(anchor) for anchor in sorted(anchors))


def _pem(der: bytes) -> bytes:
    text = base64.b64encode(der).decode()
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    framed = ["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""]
    return "\n".join(framed).encode()
