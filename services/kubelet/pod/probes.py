"""Probes as rules: when one counts as passed or failed, and what its result means."""

from dataclasses import dataclass

from pilothouse.services.kubelet.pod.views import Container, HttpGetAction, Port, Probe
from pilothouse.services.machinery.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt; ``message`` says why it failed, or what is odd about a pass (``is_odd``)."""

    passed: bool
    message: str = ""
    is_odd: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """Attempts of one result in a row, and the verdict so far (None: none yet)."""

    verdict: bool | None = None
    passed: bool = False
    count: int = 0


def step(tally: Tally, probe: Probe, outcome: Outcome) -> Tally:
    """The tally after one more attempt; the verdict changes only past a threshold."""
    count = tally.count + 1 if tally.count and tally.passed == outcome.passed else 1
    needed = probe.success_threshold if outcome.passed else probe.failure_threshold
    verdict = outcome.passed if count >= needed else tally.verdict
    return Tally(verdict, outcome.passed, count)


def port_of(container: Container, port: Port) -> int:
    """The number of a port that may be named; BadRequest when the name is unknown."""
    if isinstance(port, int):
        return port
    if port.isdigit():
        return int(port)
    for item in container.ports:
        if item.name == port:
            return item.container_port
    raise BadRequest(f"container {container.name} has no port named {port!r}")


def url_of(container: Container, action: HttpGetAction, ip: str) -> str:
    """Where an ``httpGet`` goes."""
    host = action.host or ip
    if ":" in host:
        host = f"[{host}]"
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    return f"{action.scheme.lower()}://{host}:{port_of(container, action.port)}{path}"
