"""What the scheduler is told on its command line."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from pilothouse.services.runtime import commandline
from pilothouse.services.runtime.client import candidacy
from pilothouse.services.runtime.client.election import Contest
from pilothouse.services.runtime.door import flags as door
from pilothouse.services.runtime.door.flags import Secured
from pilothouse.services.runtime.door.pages import Pages
from pilothouse.services.runtime.rpc import kubeconfig
from pilothouse.services.runtime.rpc.tls import Identity

COMPONENT = "kube-scheduler"
SECURE_PORT = 10259
EVENTS_QUEUED_MAX = 20_000
"""A large Deployment is placed faster than its events are written."""

_UNUSED = {
    "the lease is named by --leader-elect-resource-name and -namespace":
        "lock-object-name lock-object-namespace",
    "there is no door without TLS": "address port",
    "a pod that was refused is looked at again when something changes that may help it":
        "pod-max-in-unschedulable-pods-duration",
}  # fmt: skip
"""Beyond what all components have; by the reason why nothing comes of them."""


@dataclass(frozen=True, slots=True)
class Config:
    """``socket`` is where it serves gRPC; ``identity`` is None with a unix socket as server.

    Without a ``contest`` it leads from the start, whoever else does.
    """

    server: str
    identity: Identity | None
    socket: Path
    scheduler_name: str
    contest: Contest | None
    secured: Secured | None
    log_level: str
    pages: Pages


def parse(argv: list[str]) -> Config:
    """Flags as kube-scheduler and kubectl name them, where they do. Exits on a wrong one."""
    parser = argparse.ArgumentParser(prog="pilothouse scheduler", description=__doc__)
    add = parser.add_argument
    kubeconfig.add_server(parser)
    add("--run-dir", type=Path, default=Path("/run/pilothouse"))
    add("--socket", type=Path, help="gRPC; RUN-DIR/scheduler.sock when not given")
    add("--scheduler-name", default="default-scheduler", help="the pods it is responsible for")
    commandline.add_common(parser)
    commandline.add_unused(parser, _UNUSED)
    candidacy.add_election(parser, COMPONENT)
    door.add_door(parser, SECURE_PORT)
    flags = parser.parse_args(argv)
    identity = kubeconfig.identity(parser, flags)
    own = flags.socket or flags.run_dir / "scheduler.sock"
    try:
        contest = candidacy.contest(flags, COMPONENT, own)
    except ValueError as error:
        parser.error(str(error))
    shown = {"LeaderElection": candidacy.shown(flags), "SchedulerName": flags.scheduler_name}
    return Config(
        server=flags.server,
        identity=identity,
        socket=own,
        scheduler_name=flags.scheduler_name,
        contest=contest,
        secured=door.secured(flags, identity),
        log_level=commandline.log_level(flags),
        pages=Pages(COMPONENT, commandline.told(flags), {"componentconfig": shown}),
    )
