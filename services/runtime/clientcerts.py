"""Client certificates judged by the request, not by the handshake.

OpenSSL by itself ends the handshake when a client shows a certificate of a foreign authority, and
the client learns nothing. As in Kubernetes, TLS here takes whatever is shown, and the request is
answered 401 with a Status unless :class:`Judge` finds the certificate to be of our authority.

Python has no call for that, so :func:`defer` makes OpenSSL's own, after it has seen that the
context's memory is laid out as it believes. Nor has it one for the order of TLS 1.3's ciphers.
"""

import asyncio
import ctypes
import datetime
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID

KNOWN_MAX = 1024
_VERIFY_PEER = 1
# Of TLS 1.3, in the order of the real server: the quickest that is strong.
_SUITES = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
# struct PySSLContext begins with the object's head, reference count and type, then SSL_CTX *.
_CONTEXT_OFFSET = 2 * ctypes.sizeof(ctypes.c_void_p)

User = TypeVar("User")

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)


def _take(_verified: int, _store: int | None) -> int:
    return 1


# OpenSSL keeps the address, so the object must live as long as the process.
_TAKE = _Callback(_take)


def defer(context: ssl.SSLContext) -> bool:
    """Ask clients for a certificate and take any; False where that can not be done safely.

    The context is as CERT_OPTIONAL then, and a foreign certificate ends the handshake.
    """
    context.verify_mode = ssl.CERT_OPTIONAL
    library = _openssl()
    if library is None:
        return False
    address = ctypes.c_void_p.from_address(id(context) + _CONTEXT_OFFSET)
    library.SSL_CTX_get_verify_mode.argtypes = [ctypes.c_void_p]
    library.SSL_CTX_get_options.argtypes = [ctypes.c_void_p]
    library.SSL_CTX_get_options.restype = ctypes.c_uint64
    library.SSL_CTX_set_verify.argtypes = [ctypes.c_void_p, ctypes.c_int, _Callback]
    library.SSL_CTX_set_verify.restype = None
    if library.SSL_CTX_get_verify_mode(address) != _VERIFY_PEER:
        return False
    if library.SSL_CTX_get_options(address) & 0xFFFFFFFF != context.options & 0xFFFFFFFF:
        return False
    library.SSL_CTX_set_verify(address, _VERIFY_PEER, _TAKE)
    # In vain where OpenSSL knows them by other names: then its own order stands.
    library.SSL_CTX_set_ciphersuites.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.SSL_CTX_set_ciphersuites(address, _SUITES)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    return True


def _openssl() -> ctypes.CDLL | None:
    """The very OpenSSL that the ssl module is linked with."""
    import _ssl  # noqa: PLC0415 - its file is the way to the library

    try:
        library = ctypes.CDLL(getattr(_ssl, "__file__", None))
        return library if hasattr(library, "SSL_CTX_set_verify") else None
    except OSError:
        return None


class Judge(Generic[User]):
    """Who a certificate names, if one of the authorities signed it, it is in time, and for clients.

    ``name`` reads the user out of it, None when it names nobody. The newest certificates are
    remembered, for their signature costs more than a request.
    """

    def __init__(
        self,
        authorities: Path,
        now: Callable[[], float],
        name: Callable[[x509.Certificate], User | None],
    ) -> None:
        self._authorities = x509.load_pem_x509_certificates(authorities.read_bytes())
        self._now = now
        self._name = name
        self._known: dict[bytes, tuple[x509.Certificate, User | None]] = {}

    def user(self, shown: bytes | None) -> User | None:
        """The user of a certificate in DER; None where it is missing, foreign, or out of time."""
        if not shown:
            return None
        known = self._known.get(shown)
        if known is None:
            known = self._judge(shown)
            if known is None:
                return None
            if len(self._known) >= KNOWN_MAX:
                del self._known[next(iter(self._known))]
            self._known[shown] = known
        certificate, user = known
        now = datetime.datetime.fromtimestamp(self._now(), datetime.UTC)
        if certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            return user
        return None

    def _judge(self, shown: bytes) -> tuple[x509.Certificate, User | None] | None:
        try:
            certificate = x509.load_der_x509_certificate(shown)
        except ValueError:
            return None
        if not any(_signed(certificate, authority) for authority in self._authorities):
            return None
        if not _for_clients(certificate):
            return None
        return certificate, self._name(certificate)


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _for_clients(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return bool(
        {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & {*usage}
    )


def shown_over(transport: asyncio.BaseTransport | None) -> bytes | None:
    """The certificate (DER) that the peer of a connection showed; None when none, or no TLS."""
    secured = transport.get_extra_info("ssl_object") if transport is not None else None
    if not isinstance(secured, (ssl.SSLObject, ssl.SSLSocket)):
        return None
    return secured.getpeercert(binary_form=True)
