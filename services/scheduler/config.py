"""What the scheduler is told on its command line."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from pilothouse.services.runtime.rpc import flags as mesh
from pilothouse.services.runtime.rpc.tls import Identity


@dataclass(frozen=True, slots=True)
class Config:
    """``socket`` is where it serves gRPC; ``identity`` is None with a unix socket as server."""

    server: str
    identity: Identity | None
    socket: Path
    scheduler_name: str


def parse(argv: list[str]) -> Config:
    """Flags as kube-scheduler and kubectl name them, where they do. Exits on a wrong one."""
    parser = argparse.ArgumentParser(prog="pilothouse scheduler", description=__doc__)
    add = parser.add_argument
    mesh.add_server(parser)
    add("--run-dir", type=Path, default=Path("/run/pilothouse"))
    add("--socket", type=Path, help="gRPC; RUN-DIR/scheduler.sock when not given")
    add("--scheduler-name", default="default-scheduler", help="the pods it is responsible for")
    flags = parser.parse_args(argv)
    identity = mesh.identity(parser, flags)
    return Config(
        server=flags.server,
        identity=identity,
        socket=flags.socket or flags.run_dir / "scheduler.sock",
        scheduler_name=flags.scheduler_name,
    )
