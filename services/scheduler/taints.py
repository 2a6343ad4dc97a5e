"""Taints as one column of ids: nodes with the same taints share an id, and few differ."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec
import numpy as np

from pilothouse.services.machinery.kinds import nodes, pods
from pilothouse.services.machinery.kinds.pods import Toleration
from pilothouse.services.scheduler.columns import Columns, Mask

TOLERATED_MAX = 4096


class Taint(msgspec.Struct, frozen=True):
    key: str
    value: str
    effect: str

    @property
    def refuses(self) -> bool:
        """Whether it keeps pods away; PreferNoSchedule only ranks."""
        return self.effect != "PreferNoSchedule"


class TaintColumn:
    """Id 0 is no taint at all."""

    def __init__(self, columns: Columns) -> None:
        self._column = columns.add(np.int32)
        self._ids: dict[tuple[Taint, ...], int] = {(): 0}
        self._nodes_of = [0]

    def put(self, row: int, taints: Sequence[nodes.Taint]) -> bool:
        """Change one node's taints; whether that was a change."""
        wanted = tuple(Taint(taint.key, taint.value, taint.effect) for taint in taints)
        id_ = self._ids.setdefault(wanted, len(self._ids))
        if id_ == len(self._nodes_of):
            self._nodes_of.append(0)
        before = int(self._column.cells[row])
        self._nodes_of[before] -= 1
        self._nodes_of[id_] += 1
        self._column.cells[row] = id_
        return before != id_

    def clear(self, row: int) -> None:
        """Forget a node's taints, before its row goes."""
        self.put(row, ())

    def present(self) -> Iterator[tuple[tuple[Taint, ...], Mask]]:
        """Every set of taints that some nodes have, and which."""
        for taints, id_ in self._ids.items():
            if taints and self._nodes_of[id_]:
                yield taints, self._column.cells == id_


@lru_cache(TOLERATED_MAX)
def untolerated(
    taints: tuple[Taint, ...], tolerations: tuple[Toleration, ...]
) -> tuple[Taint, ...]:
    """Those taints that none of the tolerations tolerates."""
    return tuple(
        taint
        for taint in taints
        if not any(
            pods.tolerates(toleration, taint.key, taint.value, taint.effect)
            for toleration in tolerations
        )
    )
