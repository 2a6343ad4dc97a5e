"""Put together what ends pods before the machine goes down."""

from dataclasses import dataclass

from pilothouse.services.kubelet.adapters.machine import logind
from pilothouse.services.kubelet.config import Config
from pilothouse.services.kubelet.metrics.meters import Meters
from pilothouse.services.kubelet.node.registration import Registration
from pilothouse.services.kubelet.parts import Notes
from pilothouse.services.kubelet.shutdown import groups
from pilothouse.services.kubelet.shutdown.shutdown import Shutdown
from pilothouse.services.kubelet.workers.pods import Pods
from pilothouse.services.runtime.client.events import Reference
from pilothouse.services.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class NodeHost:
    """The Node of this kubelet, and who writes events."""

    name: str
    registration: Registration
    notes: Notes

    def hold(self, problem: str) -> None:
        """Why the Node is not ready; empty when it is."""
        self.registration.hold(problem)

    def note(self, reason: str, message: str) -> None:
        """An event about it."""
        about = Reference(kind="Node", namespace="", name=self.name, uid=self.name)
        self.notes.note(about, "Normal", reason, message)


def build(config: Config, pods: Pods, host: NodeHost, meters: Meters, clock: Clock) -> Shutdown:
    """Nobody is dialled yet."""
    return Shutdown(groups.graces(config.kubelet), logind.dial, pods, host, meters, clock)
