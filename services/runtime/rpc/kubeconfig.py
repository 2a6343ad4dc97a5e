"""The way to the API server as a kubeconfig says it, for components that are given one.

The mesh is at the host of the file's server. Certificates that stand in the file itself are written
beside the component's socket, for nobody else to read.
"""

import argparse
import base64
import binascii
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pilothouse.services.runtime.rpc import flags as mesh
from pilothouse.services.runtime.rpc.tls import Identity

MESH_PORT = 6444
_FILES = (
    ("client-certificate", "user", "client.crt"),
    ("client-key", "user", "client.key"),
    ("certificate-authority", "cluster", "ca.crt"),
)


@dataclass(frozen=True, slots=True)
class Way:
    """``url`` is the REST door, ``server`` the mesh's."""

    url: str
    server: str
    identity: Identity


def add_server(parser: argparse.ArgumentParser) -> None:
    """``--server`` and whom to be there, or ``--kubeconfig``; and ``--master``."""
    mesh.add_server(parser, default="")
    add = parser.add_argument
    add("--kubeconfig", type=Path, help="says server, certificate and key, where --server does not")
    add(
        "--master",
        default="",
        help="the API server's REST door; the server's host, port 6443, else",
    )


def identity(parser: argparse.ArgumentParser, flags: argparse.Namespace) -> Identity | None:
    """Whom to be; ``flags.server`` and ``flags.master`` are filled in from a kubeconfig. Exits."""
    if flags.server:
        return mesh.identity(parser, flags)
    if flags.kubeconfig is None:
        parser.error("--server or --kubeconfig is needed")
    own = flags.socket.parent if flags.socket else flags.run_dir
    try:
        found = read(flags.kubeconfig, own / f"{flags.kubeconfig.name}.d")
    except (OSError, ValueError) as error:
        parser.error(f"--kubeconfig={flags.kubeconfig}: {error}")
    flags.server = found.server
    flags.master = flags.master or found.url
    return found.identity


def read(path: Path, scratch: Path) -> Way:
    """What the current context of the file at ``path`` says; ValueError, OSError."""
    import yaml  # noqa: PLC0415 - few are told to read one, and it is large

    try:
        document = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        # Not the text itself: it may be a key's.
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"is no YAML, line {mark.line + 1 if mark else 1}") from None
    if not isinstance(document, dict):
        raise ValueError("is no kubeconfig")  # noqa: TRY004 - of the file, not of a caller's value
    context = _named(document, "contexts", document.get("current-context"), "context")
    parts = {
        "cluster": _named(document, "clusters", context.get("cluster"), "cluster"),
        "user": _named(document, "users", context.get("user"), "user"),
    }
    url = str(parts["cluster"].get("server", ""))
    host = urlsplit(url).hostname
    if not host:
        raise ValueError("its cluster has no server")
    files = [_file(path.parent, scratch, parts[part], key, name) for key, part, name in _FILES]
    shown = f"[{host}]" if ":" in host else host
    return Way(url.rstrip("/"), f"{shown}:{MESH_PORT}", Identity(*files))


def _named(document: dict[str, Any], kind: str, name: Any, part: str) -> dict[str, Any]:
    for item in document.get(kind) or ():
        if item.get("name") == name:
            found: dict[str, Any] = item.get(part) or {}
            return found
    raise ValueError(f"{kind} has no {name!r}")


def _file(beside: Path, scratch: Path, told: dict[str, Any], key: str, name: str) -> Path:
    if told.get(key):
        return beside / str(told[key])
    try:
        content = base64.b64decode(told.get(f"{key}-data") or "", validate=True)
    except binascii.Error as error:
        raise ValueError(f"{key}-data: {error}") from None
    if not content:
        raise ValueError(f"has no {key}: the mesh is reached with a certificate only")
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = scratch / name
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    return path
