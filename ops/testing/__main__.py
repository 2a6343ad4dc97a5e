"""The process of a test's control plane: ``-m pilothouse.ops.testing FOLDER PARENT NODES``."""

import sys
from pathlib import Path

from pilothouse.ops.testing import serving
from pilothouse.services.runtime import process


def main(argv: list[str]) -> int:
    """Serve until a signal or the end of the parent; the exit code."""
    folder, parent, nodes = Path(argv[0]), int(argv[1]), int(argv[2])
    return process.run("control plane", lambda _: serving.serve(folder, parent, nodes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
