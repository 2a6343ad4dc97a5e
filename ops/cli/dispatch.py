"""From a service's verb to the service."""

import importlib
import os
from collections.abc import Sequence
from types import ModuleType
from typing import cast

_AUTHORITIES = "SSL_CERT_FILE"

SERVICES = {
    "apiserver": "pilothouse.services.apiserver.__main__",
    "controllers": "pilothouse.services.controllers.__main__",
    "cri-shim": "pilothouse.cri_shim.__main__",
    "guardian": "pilothouse.ops.guardian",
    "kubelet": "pilothouse.services.kubelet.__main__",
    "proxy": "pilothouse.services.proxy.__main__",
    "publish": "pilothouse.ops.publish",
    "routes": "pilothouse.ops.routes",
    "scheduler": "pilothouse.services.scheduler.__main__",
    "store": "pilothouse.services.store.__main__",
}

# Services do not know each other: whoever puts them together hands the API server its store.
_STORAGE = "pilothouse.ops.storage"


def import_service(name: str) -> ModuleType:
    """Import a service's module.

    aiohttp reads the machine's certificate authorities as it is imported and keeps them, 2 MB in
    each process, for requests that say nothing of TLS. Ours say whom they trust: whoever means the
    machine's authorities makes an ``ssl.create_default_context()``.
    """
    before = os.environ.get(_AUTHORITIES)
    os.environ[_AUTHORITIES] = os.devnull
    try:
        return importlib.import_module(name)
    finally:
        del os.environ[_AUTHORITIES]
        if before is not None:
            os.environ[_AUTHORITIES] = before


def run_service(name: str, argv: Sequence[str]) -> int:
    """Run a service in this process until it ends; its exit code."""
    module = import_service(SERVICES[name])
    if name == "apiserver":
        storage = importlib.import_module(_STORAGE)
        return cast("int", module.main(list(argv), open_storage=storage.open_storage))
    return cast("int", module.main(list(argv)))
