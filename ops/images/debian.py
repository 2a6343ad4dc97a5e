"""Files out of Debian packages, without installing them."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from pilothouse.ops.images.archive import Content, File, Link

LIBRARY_DIRECTORIES = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")


def unpack(packages: Sequence[str], cache: Path) -> Path:
    """Download ``packages`` into ``cache`` and unpack them all into one root; the root's path.

    RuntimeError with apt's own words when a package can not be had.
    """
    cache.mkdir(parents=True, exist_ok=True)
    command = ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *packages]
    done = subprocess.run(command, cwd=cache, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"apt-get download: {done.stderr.strip()}")
    root = cache / "root"
    for package in packages:
        newest = max(cache.glob(f"{package}_*.deb"), key=lambda path: path.stat().st_mtime)
        subprocess.run(["dpkg-deb", "-x", newest, root], check=True)
    return root


def libraries(root: Path, binary: Path) -> list[Content]:
    """The shared libraries and the loader that ``binary`` needs, as found below ``root``."""
    search = ":".join(str(root / directory) for directory in LIBRARY_DIRECTORIES)
    loader = next(iter(root.glob("lib*/**/ld-linux-x86-64.so.2")))
    listed = subprocess.run(
        [loader, "--library-path", search, "--list", binary],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found: list[Content] = [
        File("lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", loader.read_bytes(), 0o755),
        Link("lib64/ld-linux-x86-64.so.2", "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
    ]
    for line in listed.splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        if arrow and rest.startswith(str(root)):
            library = Path(rest.split()[0])
            found.append(File(f"lib/x86_64-linux-gnu/{name}", library.read_bytes(), 0o644))
    return found
