"""Subresources that change one part of an object: what they take of a body, and its rules.

``status`` and ``finalize`` are not here: every kind has them in the same way.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pilothouse.services.apiserver.strategies.govern import approval
from pilothouse.services.apiserver.strategies.pod import pod_parts
from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery.errors import Cause


@dataclass(frozen=True, slots=True)
class Part:
    """``take`` makes the whole object of the old one and the body, metadata apart; ``check``
    tells what is wrong with it. ``is_desired``: defaults apply and the generation counts.
    """

    take: Callable[[Body, Body], Body]
    check: Callable[[Body, Body], list[Cause]]
    is_desired: bool = False


_PARTS = {
    ("", "Pod", "ephemeralcontainers"): Part(
        pod_parts.take_ephemeral, pod_parts.check_ephemeral, is_desired=True
    ),
    ("", "Pod", "resize"): Part(pod_parts.take_resize, pod_parts.check_resize, is_desired=True),
    ("certificates.k8s.io", "CertificateSigningRequest", "approval"): Part(
        approval.take, approval.check
    ),
    ("certificates.k8s.io", "CertificateSigningRequest", "status"): Part(
        approval.take_status, approval.check_status
    ),
}


def of(group: str, kind: str, subresource: str) -> Part | None:
    """The part that this subresource changes, where it is one of its own."""
    return _PARTS.get((group, kind, subresource)) if subresource else None
