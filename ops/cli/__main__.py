"""``pilothouse VERB …``: each verb imports only what it needs."""

import importlib
import sys
from collections.abc import Callable, Sequence

from pilothouse.ops.cli.dispatch import SERVICES, run_service

USAGE = """usage: pilothouse VERB [flags]

  a cluster on this machine    up  down  status  kubectl
  a cluster of real machines   server  join  pki
  one service                  apiserver  controllers  cri-shim  kubelet  proxy  publish  routes
                               scheduler  store
  other                        bench  simulate  simulate-faults  version

`pilothouse VERB --help` tells a verb's flags.
"""

# Verb to the module whose main(argv) it is.
_VERBS = {
    "bench": "pilothouse.ops.bench.__main__",
    "up": "pilothouse.ops.cli.up",
    "down": "pilothouse.ops.cli.down",
    "status": "pilothouse.ops.cli.status",
    "kubectl": "pilothouse.ops.cli.kubectl",
    "server": "pilothouse.ops.cli.server",
    "join": "pilothouse.ops.cli.join",
    "pki": "pilothouse.ops.cli.pki",
    "simulate": "pilothouse.services.kubelet.hollow.__main__",
    "simulate-faults": "pilothouse.ops.simulation.__main__",
    "version": "pilothouse.ops.cli.version",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; its exit code, 2 for a verb that is not there."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(USAGE)
        return 0
    verb, rest = arguments[0], arguments[1:]
    if verb in SERVICES:
        return run_service(verb, rest)
    if verb not in _VERBS:
        sys.stderr.write(f"pilothouse: there is no verb {verb!r}\n{USAGE}")
        return 2
    run: Callable[[list[str]], int] = importlib.import_module(_VERBS[verb]).main
    return run(rest)


if __name__ == "__main__":
    sys.exit(main())
