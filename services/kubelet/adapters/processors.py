"""The machine's CPUs, and the file that remembers whose they are."""

from pathlib import Path

from pilothouse.services.kubelet.config import Config
from pilothouse.services.kubelet.resources import allocatable, cpusets, exclusive
from pilothouse.services.kubelet.resources.exclusive import Assignments, Cpu
from pilothouse.services.kubelet.resources.processors import (
    AnyProcessors,
    Processors,
    StaticProcessors,
)

SYSTEM = Path("/sys/devices/system")
STATE = "cpu_manager_state"


class StateFile:
    """Written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, text: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        made = self._path.with_suffix(".new")
        made.write_text(text)
        made.replace(self._path)

    def read(self) -> str:
        """Empty when there is none yet."""
        return self._path.read_text() if self._path.exists() else ""


def topology(system: Path = SYSTEM) -> dict[int, Cpu]:
    """Every CPU that is online, from sysfs."""
    numa = {
        cpu: int(node.name.removeprefix("node"))
        for node in (system / "node").glob("node[0-9]*")
        for cpu in cpusets.parse((node / "cpulist").read_text())
    }
    found = {}
    for number in sorted(cpusets.parse((system / "cpu" / "online").read_text())):
        place = system / "cpu" / f"cpu{number}" / "topology"
        siblings = cpusets.parse((place / "thread_siblings_list").read_text())
        socket = max(int((place / "physical_package_id").read_text()), 0)
        found[number] = Cpu(number, min(siblings), socket, numa.get(number, 0))
    return found


def build(config: Config) -> Processors:
    """By the configured policy. ValueError as :func:`recall`."""
    known = recall(config)
    if known is None:
        return AnyProcessors()
    state = StateFile(config.paths.root / STATE)
    return StaticProcessors(topology(), known, state, config.kubelet.cpu_manager_policy_options)


def recall(config: Config) -> Assignments | None:
    """Who has what, as the last kubelet left it; None where the policy gives nobody anything.

    ValueError when too little is reserved, or the state does not fit.
    """
    said = config.kubelet
    if said.cpu_manager_policy.lower() != exclusive.POLICY:
        return None
    reserved = cpusets.parse(said.reserved_system_cpus)
    empty = exclusive.start(topology(), reserved, allocatable.system(said).get("cpu", 0))
    text = StateFile(config.paths.root / STATE).read()
    return exclusive.read(text, empty) if text else empty
