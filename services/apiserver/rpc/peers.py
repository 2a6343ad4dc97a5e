"""Who is at the other end of a gRPC call."""

from cryptography import x509

from pilothouse.services.apiserver.chain.certificates import AUTHENTICATED, user_of_certificate
from pilothouse.services.apiserver.requests import User
from pilothouse.services.machinery.errors import Unauthorized
from pilothouse.services.runtime.rpc.errors import Context

LOCAL = User(name="system:admin", groups=("system:masters", AUTHENTICATED))
"""Whoever may open the private unix socket: root on this machine."""

KNOWN_MAX = 1024


_NODES = "system:node:"
_SYSTEM = "system:"


def program_of(user: User) -> str:
    """The program that a component is, by its user: the manager of what it writes."""
    if user.name.startswith(_NODES):
        return "kubelet"
    return user.name.removeprefix(_SYSTEM)


class Peers:
    """Users by certificate; parsing one costs more than a call, so the newest are kept."""

    def __init__(self) -> None:
        self._known: dict[bytes, User] = {}

    def user(self, context: Context) -> User:
        """The caller: the private socket's, or the verified certificate's; else Unauthorized."""
        if context.peer().startswith("unix:"):
            return LOCAL
        shown = next(iter(context.auth_context().get("x509_pem_cert", ())), None)
        if shown is None:
            raise Unauthorized("Unauthorized")
        user = self._known.get(shown)
        if user is None:
            user = _parse(shown)
            if len(self._known) >= KNOWN_MAX:
                del self._known[next(iter(self._known))]
            self._known[shown] = user
        return user


def _parse(pem: bytes) -> User:
    user = user_of_certificate(x509.load_pem_x509_certificate(pem))
    if user is None:
        raise Unauthorized("Unauthorized")
    return user
