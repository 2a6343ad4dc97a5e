"""What nodes have and what is taken of it, one set of columns a resource."""

from collections.abc import Mapping

import numpy as np

from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.columns import Column, Columns, Mask, Scores

CPU, MEMORY = "cpu", "memory"


class Resource:
    """Capacity and what is free of it, in whole units (cpu: thousandths). Free may be negative."""

    def __init__(self, columns: Columns) -> None:
        self.capacity: Column[np.int64] = columns.add(np.int64)
        self.free: Column[np.int64] = columns.add(np.int64)


class Ranked:
    """The same for ranking, where a pod without requests counts with a default amount."""

    def __init__(self, columns: Columns) -> None:
        self.room: Column[np.float64] = columns.add(np.float64)
        self.inverse: Column[np.float64] = columns.add(np.float64)

    def share(self, need: int) -> Scores:
        """The part of each node that would be free, 1 when it is empty; may be below 0."""
        left: Scores = self.room.cells - need
        left *= self.inverse.cells
        return left


class ResourceColumns:
    """Every resource that any node offers or any pod asks for."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._known: dict[str, Resource] = {}
        self.cpu = Ranked(columns)
        self.memory = Ranked(columns)

    def lacking(self, name: str, need: int) -> Mask:
        """The nodes where less than ``need`` is free."""
        known = self._known.get(name)
        if known is None:
            return np.ones(self._columns.rows, dtype=np.bool_)
        return known.free.cells < need

    def free(self, name: str, row: int) -> int:
        """What is free on one node."""
        known = self._known.get(name)
        return int(known.free.cells[row]) if known else 0

    def offer(self, row: int, amounts: Mapping[str, int]) -> bool:
        """Set what a node has; whether that was a change."""
        changed = False
        for name in self._known.keys() | amounts.keys():
            resource, amount = self._resource(name), amounts.get(name, 0)
            delta = amount - int(resource.capacity.cells[row])
            if delta == 0:
                continue
            changed = True
            resource.capacity.cells[row] = amount
            resource.free.cells[row] += delta
            ranked = {CPU: self.cpu, MEMORY: self.memory}.get(name)
            if ranked is not None:
                ranked.room.cells[row] += delta
                ranked.inverse.cells[row] = 1 / amount if amount > 0 else 0
        return changed

    def take(self, row: int, pod: Candidate, times: int = 1) -> None:
        """Count a pod on a node; with ``times`` -1 it goes."""
        for name, amount in pod.amounts.items():
            self._resource(name).free.cells[row] -= amount * times
        self.cpu.room.cells[row] -= pod.ranked_millicpu * times
        self.memory.room.cells[row] -= pod.ranked_memory * times

    def _resource(self, name: str) -> Resource:
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = Resource(self._columns)
        return known
