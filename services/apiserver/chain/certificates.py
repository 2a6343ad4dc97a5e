"""Users out of client certificates that TLS has verified: CN is the name, every O a group."""

from collections.abc import Mapping
from typing import Any

from pilothouse.services.apiserver.requests import User

AUTHENTICATED = "system:authenticated"


def user_of_subject(name: str, organizations: tuple[str, ...]) -> User | None:
    """The user of a certificate's subject; None where it names nobody."""
    if not name:
        return None
    return User(name=name, groups=(*organizations, AUTHENTICATED))


def user_of_peer(certificate: Mapping[str, Any] | None) -> User | None:
    """The user of ``ssl.SSLSocket.getpeercert()``; None where none was shown."""
    if not certificate:
        return None
    name, organizations = "", []
    for part in certificate.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                organizations.append(value)
    return user_of_subject(name, tuple(organizations))
