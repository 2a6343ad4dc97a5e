"""A docker-registry of a test's own, in a network namespace, with or without passwords."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from pilothouse.ops.images import repositories
from pilothouse.ops.images.archive import File, Image, layer
from pilothouse.ops.images.recipes import busybox, busybox_layer

USER, PASSWORD = "pilot", "house"
HASH = "$2b$04$abcdefghijklmnopqrstuu5Khp.UBzxC7uMWn4cnkWzvITVleeR7K"


def small(name: str, *parts: str) -> Image:
    """An image of a few bytes, one layer for each part."""
    layers = [layer([File(f"part-{part}", part.encode() * 1000)]) for part in parts]
    return Image([f"docker.io/{name}"], layers, ["/part"])


def big(name: str) -> Image:
    """One that runs: busybox under another name."""
    found = busybox(busybox_layer())
    return Image([f"docker.io/{name}"], found.layers, found.command, found.arguments)


@contextlib.contextmanager
def docker_registry(
    root: Path, netns: str, port: int, images: list[Image], *, private: bool = False
) -> Iterator[str]:
    """``host:port`` of a registry that serves ``images``, until the block ends."""
    root.mkdir(parents=True, exist_ok=True)
    repositories.write(root / "images", images)
    address = f"127.0.0.1:{port}"
    auth = ""
    if private:
        (root / "htpasswd").write_text(f"{USER}:{HASH}\n")
        auth = f"auth:\n  htpasswd:\n    realm: pilothouse\n    path: {root}/htpasswd\n"
    (root / "config.yaml").write_text(f"""version: 0.1
log:
  level: error
storage:
  filesystem:
    rootdirectory: {root}/images
  maintenance:
    readonly:
      enabled: true
http:
  addr: {address}
{auth}""")
    log = (root / "registry.log").open("ab")
    process = subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{netns}", "docker-registry", "serve",
         str(root / "config.yaml")],
        stdout=log, stderr=log,
    )  # fmt: skip
    try:
        _wait(netns, port, root)
        yield address
    finally:
        process.kill()
        process.wait()
        log.close()


def _wait(netns: str, port: int, root: Path) -> None:
    for _ in range(200):
        tried = subprocess.run(
            ["nsenter", f"--net=/run/netns/{netns}", "ss", "-ltnH", f"sport = :{port}"],
            check=True, capture_output=True,
        )  # fmt: skip
        if tried.stdout.strip():
            return
        time.sleep(0.05)
    raise AssertionError((root / "registry.log").read_text()[-2000:])
