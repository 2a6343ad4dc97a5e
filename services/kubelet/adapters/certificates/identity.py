"""Certificates of this kubelet as files."""

from pathlib import Path

from cryptography import x509


def seconds_left(path: Path, now: float) -> float | None:
    """Until it ends, negative when it has; None when it can not be read."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None
    return certificate.not_valid_after_utc.timestamp() - now
