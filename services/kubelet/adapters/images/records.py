"""Which images were pulled with whose credentials, as files in Kubernetes' own form.

::

    image_manager/pulled/sha256-<of the image's id>     an ImagePulledRecord
    image_manager/pulling/sha256-<of the image's name>  an ImagePullIntent
"""

import hashlib
import json
from pathlib import Path

import msgspec

from pilothouse.services.kubelet.images.access import Record

RECORDS_MAX = 1000
"""Those that changed longest ago go first."""
DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


class PulledRecords:
    """Below ``root``/image_manager."""

    def __init__(self, root: Path) -> None:
        self._pulled = root / "image_manager" / "pulled"
        self._pulling = root / "image_manager" / "pulling"
        for directory in (self._pulled, self._pulling):
            directory.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)

    def find(self, image_ref: str) -> Record | None:
        """None without one; a file that can not be read is none."""
        try:
            content = (self._pulled / _name(image_ref)).read_bytes()
            return msgspec.json.decode(content, type=Record)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def keep(self, record: Record) -> None:
        """Write it."""
        _write(self._pulled / _name(record.image_ref), msgspec.json.encode(record))
        files = list(self._pulled.iterdir())
        if len(files) > RECORDS_MAX:
            files.sort(key=lambda path: path.stat().st_mtime)
            for path in files[:-RECORDS_MAX]:
                path.unlink(missing_ok=True)

    def intend(self, image: str) -> None:
        """Remember that it is being pulled."""
        body = {
            "kind": "ImagePullIntent",
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "image": image,
        }
        _write(self._pulling / _name(image), json.dumps(body).encode())

    def settle(self, image: str) -> None:
        """Forget that."""
        (self._pulling / _name(image)).unlink(missing_ok=True)

    def is_intended(self, image: str) -> bool:
        """Whether a pull has begun and not ended."""
        return (self._pulling / _name(image)).exists()


def _name(text: str) -> str:
    return "sha256-" + hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing."""
    fresh = path.with_suffix(".tmp")
    fresh.write_bytes(content)
    fresh.chmod(FILE_MODE)
    fresh.rename(path)
