"""``pilothouse apiserver``."""

import gc
import sys

from pilothouse.services.apiserver import config, wiring
from pilothouse.services.runtime import process

# A request leaves hardly anything that only the collector finds: looking for it after every 700
# new objects, as by default, is a twelfth of what a write costs.
_COLLECT_AFTER = (10_000, 20, 20)


def main(argv: list[str], *, open_storage: wiring.OpenStorage | None = None) -> int:
    """Run the server until it is told to stop; the exit code.

    ``open_storage`` opens a store inside this process, used where no ``--etcd-servers`` are given.
    """
    configuration = config.parse(argv)
    opener = wiring.open_etcd_storage if configuration.etcd_servers else open_storage
    if opener is None:
        sys.stderr.write("apiserver: --etcd-servers is needed: there is no store in this process\n")
        return 2

    async def serve(ready: process.Ready) -> None:
        gc.set_threshold(*_COLLECT_AFTER)
        await wiring.run(configuration, opener, ready)

    return process.run("apiserver", serve, log_level=configuration.log_level)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
