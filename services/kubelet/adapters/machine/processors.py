"""The machine's CPUs and memory, and the files that remember whose they are."""

from pathlib import Path

from pilothouse.services.kubelet.config import Config
from pilothouse.services.kubelet.node.node import Machine
from pilothouse.services.kubelet.resources import allocatable, cpusets, exclusive, memory_nodes
from pilothouse.services.kubelet.resources.exclusive import Assignments, Cpu
from pilothouse.services.kubelet.resources.memory_nodes import Holdings
from pilothouse.services.kubelet.resources.processors import (
    AnyProcessors,
    Processors,
    StaticProcessors,
)
from pilothouse.services.kubelet.resources.static_memory import Both, StaticMemory

SYSTEM = Path("/sys/devices/system")
STATE = "cpu_manager_state"
MEMORY_STATE = "memory_manager_state"


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


def banks(system: Path = SYSTEM) -> dict[int, int]:
    """Bytes of memory by NUMA node."""
    found = {}
    for node in (system / "node").glob("node[0-9]*"):
        for line in (node / "meminfo").read_text().splitlines():
            words = line.split()
            if words[2] == "MemTotal:":
                found[int(words[1])] = int(words[3]) * 1024
    return found


def build(config: Config, here: Machine) -> Processors:
    """By the configured policies. ValueError as :func:`recall` and :func:`recall_memory`."""
    said, root = config.kubelet, config.paths.root
    parts: list[Processors] = []
    cpus, memory = recall(config), recall_memory(config, here)
    if cpus is not None:
        options = said.cpu_manager_policy_options
        parts.append(StaticProcessors(topology(), cpus, StateFile(root / STATE), options))
    if memory is not None:
        parts.append(StaticMemory(memory, StateFile(root / MEMORY_STATE)))
    return Both(*parts) if parts else AnyProcessors()


def moving(processors: Processors) -> StaticProcessors | None:
    """The part that moves containers between CPUs, if there is one."""
    parts = processors.parts if isinstance(processors, Both) else ()
    return next((part for part in parts if isinstance(part, StaticProcessors)), None)


def recall(config: Config) -> Assignments | None:
    """Whose which CPUs are, as the last kubelet left it; None where the policy gives nobody any.

    ValueError when too little is reserved, or the state does not fit.
    """
    said = config.kubelet
    if said.cpu_manager_policy.lower() != exclusive.POLICY:
        return None
    reserved = cpusets.parse(said.reserved_system_cpus)
    empty = exclusive.start(topology(), reserved, allocatable.system(said).get("cpu", 0))
    text = StateFile(config.paths.root / STATE).read()
    return exclusive.read(text, empty) if text else empty


def recall_memory(config: Config, here: Machine) -> Holdings | None:
    """The same of memory."""
    said = config.kubelet
    if said.memory_manager_policy != memory_nodes.POLICY:
        return None
    empty = memory_nodes.start(banks(), here.reserved.get("memory", 0), said)
    text = StateFile(config.paths.root / MEMORY_STATE).read()
    return memory_nodes.read(text, empty) if text else empty
