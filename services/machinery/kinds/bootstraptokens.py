"""Facts about bootstrap tokens: Secrets that a cluster and those who join it know each other by."""

import base64
import binascii
import re

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds.identity import Secret
from pilothouse.services.machinery.objects import Key

TYPE = "bootstrap.kubernetes.io/token"
NAMESPACE = "kube-system"
INFO = Key("kube-public", "cluster-info")
"""The ConfigMap that says where the cluster is, and whom to trust there."""
_NAME = re.compile("bootstrap-token-([a-z0-9]{6})")


def value(token: Secret, name: str) -> str:
    """A field as text; empty when it is not there or no text."""
    try:
        return base64.b64decode(token.data.get(name, "")).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def seconds_left(token: Secret, now: float) -> float | None:
    """Until it expires; None for never. A time that can not be read is over."""
    if not token.data.get("expiration"):
        return None
    try:
        return timestamps.parse(value(token, "expiration")) - now
    except ValueError:
        return 0.0


def is_over(token: Secret, now: float) -> bool:
    """Whether its time has come to an end."""
    left = seconds_left(token, now)
    return left is not None and left <= 0


def signing(token: Secret) -> tuple[str, str] | None:
    """Its id and its secret, if it is whole and may be signed with."""
    named = _NAME.fullmatch(token.metadata.name)
    name, secret = value(token, "token-id"), value(token, "token-secret")
    if named is None or named[1] != name or not secret:
        return None
    return (name, secret) if value(token, "usage-bootstrap-signing") == "true" else None
