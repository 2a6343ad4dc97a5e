"""From a service's verb to the service."""

import importlib
from collections.abc import Sequence
from typing import cast

SERVICES = {
    "apiserver": "pilothouse.services.apiserver.__main__",
    "controllers": "pilothouse.services.controllers.__main__",
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


def run_service(name: str, argv: Sequence[str]) -> int:
    """Run a service in this process until it ends; its exit code."""
    module = importlib.import_module(SERVICES[name])
    if name == "apiserver":
        storage = importlib.import_module(_STORAGE)
        return cast("int", module.main(list(argv), open_storage=storage.open_storage))
    return cast("int", module.main(list(argv)))
