"""Build ``images.tar`` and ``registry`` in a directory unless these very recipes made them."""

import hashlib
import sys
from pathlib import Path

from pilothouse.ops.images import archive, recipes, repositories


def recipe_digest() -> str:
    """A digest of the sources of this package: when they change, images are made anew."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def build(directory: Path) -> Path:
    """Make the archive if it is missing or stale; its path."""
    directory = directory.resolve()
    path, stamp = directory / "images.tar", directory / "images.stamp"
    digest = recipe_digest()
    if path.exists() and stamp.exists() and stamp.read_text() == digest:
        return path
    directory.mkdir(parents=True, exist_ok=True)
    base = recipes.busybox_layer()
    images = [recipes.pause(), recipes.busybox(base), *recipes.nginx(base, directory / "debian")]
    archive.write(path, images)
    repositories.write(directory / "registry", images)
    stamp.write_text(digest)
    return path


if __name__ == "__main__":
    build(Path(sys.argv[1]))
