"""The forms in which channels travel in WebSocket messages, and how ours become a client's. Pure.

Kubelets are spoken to in v4 or v5: one byte of channel, then content. Older clients name other
forms or none: base64 text after a digit; and, without a version, errors in plain words.
"""

import base64
import json
from dataclasses import dataclass

from pilothouse.services.machinery.errors import BadRequest

ERROR = 3
DIGIT = ord("0")


@dataclass(frozen=True, slots=True)
class Form:
    """``kubelet`` is what the kubelet is asked for in its place."""

    name: str
    kubelet: str
    is_text: bool = False
    is_versioned: bool = True

    def to_client(self, content: bytes) -> bytes | None:
        """A message of the kubelet in the client's form; None where the client gets nothing."""
        if not self.is_versioned and content[:1] == bytes([ERROR]):
            status = json.loads(content[1:] or b"{}")
            if status.get("status") == "Success":
                return None
            content = content[:1] + str(status.get("message", "")).encode()
        if self.is_text:
            return bytes([DIGIT + content[0]]) + base64.b64encode(content[1:])
        return content

    def to_kubelet(self, content: bytes) -> bytes:
        """A message of the client in the kubelet's form; BadRequest when it is none."""
        if not self.is_text or not content:
            return content
        try:
            return bytes([content[0] - DIGIT]) + base64.b64decode(content[1:], validate=True)
        except ValueError:
            raise BadRequest("the message is no channel and base64 text") from None


_V4, _V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"
FORMS = {
    form.name: form
    for form in (
        Form(_V5, _V5),
        Form(_V4, _V4),
        Form("v4.base64.channel.k8s.io", _V4, is_text=True),
        Form("channel.k8s.io", _V4, is_versioned=False),
        Form("base64.channel.k8s.io", _V4, is_text=True, is_versioned=False),
        Form("", _V4, is_versioned=False),
    )
}
"""By the client's word for them; no word at all is the oldest form."""

_TUNNEL = "SPDY/3.1+portforward.k8s.io"
PORTS = {
    form.name: form
    for form in (
        Form(_TUNNEL, _TUNNEL),
        Form(_V4, _V4),
        Form("v4.base64.channel.k8s.io", _V4, is_text=True),
        Form("", _V4),
    )
}
"""The same for port forwarding, whose channels are pairs of data and errors."""
