"""Who asks, as a certificate or a header says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.x509.oid import NameOID

AUTHENTICATED = "system:authenticated"
_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class User:
    """Whoever asks."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


NOBODY = User("system:anonymous", groups=("system:unauthenticated",))


def user_of(certificate: x509.Certificate) -> User | None:
    """The common name is the user, every organization a group."""
    subject = certificate.subject
    names = [str(part.value) for part in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    if not names or not names[0]:
        return None
    return User(names[0], groups=(*(str(part.value) for part in groups), AUTHENTICATED))


def bearer_of(authorization: str) -> str | None:
    """The token in an ``Authorization`` header; None where there is none of that kind."""
    if not authorization.lower().startswith(_BEARER):
        return None
    return authorization[len(_BEARER) :].strip()
