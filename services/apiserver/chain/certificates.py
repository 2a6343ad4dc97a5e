"""Users out of client certificates that have been verified: CN is the name, every O a group."""

from cryptography import x509
from cryptography.x509.oid import NameOID

from pilothouse.services.apiserver.requests import User

AUTHENTICATED = "system:authenticated"


def user_of_certificate(certificate: x509.Certificate) -> User | None:
    """The user that the subject names; None where it names nobody."""
    subject = certificate.subject
    names = [str(part.value) for part in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return user_of_subject("".join(names[:1]), tuple(str(part.value) for part in groups))


def user_of_subject(name: str, organizations: tuple[str, ...]) -> User | None:
    """The user of a name and its organizations; None without a name."""
    if not name:
        return None
    return User(name=name, groups=(*organizations, AUTHENTICATED))
