"""``pilothouse version``."""

import importlib.metadata
import sys


def main(_argv: list[str]) -> int:
    """Print ours and the Kubernetes API version that it serves."""
    sys.stdout.write(
        f"pilothouse {importlib.metadata.version('pilothouse')}, Kubernetes API v1.37\n"
    )
    return 0
