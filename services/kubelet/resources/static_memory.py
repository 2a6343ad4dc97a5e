"""Memory of NUMA nodes of their own for containers, beside or without CPUs of their own."""

from collections.abc import Callable, Collection
from dataclasses import replace

from pilothouse.services.kubelet.pod.views import Container, Pod
from pilothouse.services.kubelet.resources import memory_nodes
from pilothouse.services.kubelet.resources.admission import Rejection
from pilothouse.services.kubelet.resources.exclusive import Unassignable
from pilothouse.services.kubelet.resources.memory_nodes import Holdings
from pilothouse.services.kubelet.resources.processors import Processors, State
from pilothouse.services.kubelet.resources.qos import Limits


class StaticMemory:
    """Policy Static of memory: a Guaranteed container has it from nodes of its own choice."""

    def __init__(self, known: Holdings, state: State) -> None:
        self._known = known
        self._state = state
        state.write(memory_nodes.written(known))

    def admit(self, pod: Pod, is_here: Callable[[str], bool]) -> Rejection | None:
        """Give the pod what it needs; why it can not have it."""
        before = memory_nodes.keep(self._known, lambda uid: uid == pod.uid or is_here(uid))
        try:
            self._known = memory_nodes.allocate(before, pod)
        except Unassignable as error:
            self._known = before
            return error.rejection
        finally:
            self._state.write(memory_nodes.written(self._known))
        return None

    def bind(self, pod: Pod, container: Container, limits: Limits) -> Limits:
        """``limits`` with the nodes of its own."""
        claim = self._known.own.get(pod.uid, {}).get(container.name)
        if claim is None:
            return limits
        return replace(limits, memory_nodes=memory_nodes.listed(claim.nodes))

    def is_fixed(self, pod: Pod) -> bool:
        """Whether it has memory of its own."""
        return pod.uid in self._known.own

    def own(self, uid: str, container: str) -> Collection[int]:
        return ()

    def allocatable(self) -> Collection[int]:
        return ()


class Both:
    """One after the other: who is refused by the second gives back when he is gone."""

    def __init__(self, *parts: Processors) -> None:
        self.parts = parts

    def admit(self, pod: Pod, is_here: Callable[[str], bool]) -> Rejection | None:
        found = (part.admit(pod, is_here) for part in self.parts)
        return next((rejection for rejection in found if rejection is not None), None)

    def bind(self, pod: Pod, container: Container, limits: Limits) -> Limits:
        for part in self.parts:
            limits = part.bind(pod, container, limits)
        return limits

    def is_fixed(self, pod: Pod) -> bool:
        return any(part.is_fixed(pod) for part in self.parts)

    def own(self, uid: str, container: str) -> Collection[int]:
        return frozenset(cpu for part in self.parts for cpu in part.own(uid, container))

    def allocatable(self) -> Collection[int]:
        return frozenset(cpu for part in self.parts for cpu in part.allocatable())
