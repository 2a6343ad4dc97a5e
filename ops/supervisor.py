"""Keeps the processes of a local cluster running.

One process imports what the services need, freezes its heap and forks each of them, so that they
share most of their memory. It holds the API's listening socket on the host, so that connections
wait while the API server restarts, and it owns nothing else: when it dies, its children and the
pods go on until its guardian has put another in its place.

::

    signal  ──▶ reap ──▶ next_delay ──▶ due ──▶ fork
    SIGTERM ──▶ stop in order, end
"""

import gc
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import setproctitle

from pilothouse.ops.cli.dispatch import SERVICES, import_service, run_service
from pilothouse.ops.local import kernel, processes
from pilothouse.ops.local.cluster import Cluster, load
from pilothouse.ops.local.fabric import netns_path
from pilothouse.ops.local.services import LISTEN_FLAG, Unit, plan
from pilothouse.ops.restarts import next_delay
from pilothouse.services.runtime.clock import Clock, SystemClock

NAME = "supervisor"
STOP_GRACE_SECONDS = 5.0
LOG_BYTES_MAX = 10 * 1024 * 1024
LOG_CHECK_SECONDS = 60.0
LISTEN_BACKLOG = 512
FAILED = 70

_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)


@dataclass(slots=True)
class Running:
    """A child, when it was started, and the wait that preceded it."""

    unit: Unit
    pid: int
    started: float
    delay: float


@dataclass(slots=True)
class Supervisor:
    """The children of one cluster; ``run`` returns when it was told to stop."""

    cluster: Cluster
    units: Sequence[Unit]
    clock: Clock
    api_socket: socket.socket
    running: dict[int, Running] = field(default_factory=dict)
    due: list[tuple[float, float, Unit]] = field(default_factory=list)

    @property
    def pids(self) -> Path:
        return self.cluster.run / "pids"

    def run(self) -> None:
        """Start every unit, restart what ends, stop all on SIGTERM."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        commands = [unit for unit in self.units if not unit.service]
        for unit in commands:
            self._start(unit, 0.0)
        _import_services({unit.service for unit in self.units if unit.service})
        for unit in self.units:
            if unit.service:
                self._start(unit, 0.0)
        while True:
            told = signal.sigtimedwait(_SIGNALS, self._wait_seconds())
            if told is not None and told.si_signo != signal.SIGCHLD:
                self._stop()
                return
            self._reap()
            self._start_due()
            self._rotate_logs()

    def _wait_seconds(self) -> float:
        now = self.clock.monotonic()
        return max(0.0, min((at - now for at, _, _ in self.due), default=LOG_CHECK_SECONDS))

    def _start(self, unit: Unit, delay: float) -> None:
        log = os.open(
            self.cluster.logs / f"{unit.name}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
        )
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._become(unit, log)
        os.close(log)
        self.running[pid] = Running(unit, pid, self.clock.monotonic(), delay)
        processes.remember(self.pids, unit.name, pid)

    def _become(self, unit: Unit, log: int) -> NoReturn:
        """The child's side of the fork: its session, its log, its namespace, its work."""
        code = FAILED
        try:
            os.setsid()
            os.dup2(log, 1)
            os.dup2(log, 2)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            if unit.netns:
                kernel.enter_netns(netns_path(unit.netns))
            arguments = list(unit.arguments)
            if unit.inherits_api_socket:
                arguments += [LISTEN_FLAG, str(self.api_socket.fileno())]
            else:
                self.api_socket.close()
            if not unit.service:
                setproctitle.setproctitle(unit.name)
                os.execv(arguments[0], arguments)  # noqa: S606 - the command is ours, no shell
            code = run_service(unit.service, arguments)
        except BaseException:  # noqa: BLE001 - the child's last act is to say why it ends
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        now = self.clock.monotonic()
        for pid, status in _ended():
            child = self.running.pop(pid, None)
            if child is None:
                continue
            delay = next_delay(child.unit.restart_seconds, child.delay, now - child.started)
            self.due.append((now + delay, delay, child.unit))
            code = os.waitstatus_to_exitcode(status)
            _say(f"{child.unit.name} ended with {code}, starts again in {delay:.1f} s")

    def _start_due(self) -> None:
        now = self.clock.monotonic()
        ready = [entry for entry in self.due if entry[0] <= now]
        self.due = [entry for entry in self.due if entry[0] > now]
        for _, delay, unit in ready:
            self._start(unit, delay)

    def _rotate_logs(self) -> None:
        """Copy a log that grew too long and truncate it; its writers append, so they go on."""
        for path in self.cluster.logs.glob("*.log"):
            if path.stat().st_size > LOG_BYTES_MAX:
                path.with_suffix(".log.1").write_bytes(path.read_bytes())
                os.truncate(path, 0)

    def _stop(self) -> None:
        for order in sorted({child.unit.stop_order for child in self.running.values()}):
            group = [child for child in self.running.values() if child.unit.stop_order == order]
            _end_children(group, self.clock)
        (self.pids / f"{NAME}.pid").unlink(missing_ok=True)


def _end_children(children: Sequence[Running], clock: Clock) -> None:
    """SIGTERM, wait for the grace, SIGKILL what is left; all are reaped."""
    left = {child.pid for child in children}
    for pid in left:
        os.kill(pid, signal.SIGTERM)
    deadline = clock.monotonic() + STOP_GRACE_SECONDS
    while left and (remaining := deadline - clock.monotonic()) > 0:
        left -= {pid for pid, _ in _ended()}
        if left:
            signal.sigtimedwait((signal.SIGCHLD,), remaining)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _ended() -> list[tuple[int, int]]:
    """The children that ended since the last look, with their wait status."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, status))


def _import_services(names: Collection[str]) -> None:
    """Import every service once, so that all of them share its pages."""
    for service in [SERVICES[name] for name in sorted(names)]:
        try:
            import_service(service)
        except Exception:  # noqa: BLE001 - the service itself says so in its own log, and is retried
            _say(f"{service} can not be imported: {sys.exc_info()[1]}")
    gc.collect()
    gc.freeze()


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def main(argv: Sequence[str]) -> int:
    """Supervise the cluster named in ``argv``; it must have been laid by ``ops/up``."""
    cluster = load(argv[0])
    if cluster is None:
        _say(f"there is no cluster {argv[0]}: run ops/up")
        return 1
    setproctitle.setproctitle(f"pilothouse {NAME}")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    processes.remember(cluster.run / "pids", NAME, os.getpid())
    try:
        api_socket = socket.create_server(("127.0.0.1", cluster.port), backlog=LISTEN_BACKLOG)
    except OSError as error:
        _say(f"port {cluster.port} of 127.0.0.1: {error.strerror}")
        return 1
    with api_socket:
        Supervisor(cluster, plan(cluster), SystemClock(), api_socket).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
