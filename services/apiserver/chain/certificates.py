"""Users out of client certificates that TLS has verified: CN is the name, every O a group."""

from pilothouse.services.apiserver.requests import User

AUTHENTICATED = "system:authenticated"


def user_of_subject(name: str, organizations: tuple[str, ...]) -> User | None:
    """The user of a certificate's subject; None where it names nobody."""
    if not name:
        return None
    return User(name=name, groups=(*organizations, AUTHENTICATED))
