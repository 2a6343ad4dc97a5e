"""Node labels as columns of ids, one column a key; 0 means that the node lacks the label."""

from collections.abc import Iterable, Mapping

import numpy as np

from pilothouse.services.machinery.labels import Requirement
from pilothouse.services.scheduler.columns import Amounts, Column, Columns, Ids, Mask


class LabelColumn:
    """The values of one key, interned from 1 on."""

    def __init__(self, column: Column[np.int32]) -> None:
        self.column = column
        self.values: dict[str, int] = {}

    def put(self, row: int, value: str | None) -> None:
        """Write one node's value; None where it lacks the label."""
        self.column.cells[row] = (
            0 if value is None else self.values.setdefault(value, len(self.values) + 1)
        )

    def ids_of(self, values: Iterable[str]) -> list[int]:
        """The ids of those values that any node ever had."""
        return [self.values[value] for value in values if value in self.values]


class LabelColumns:
    """All labels of all nodes; columns appear with the keys."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._keys: dict[str, LabelColumn] = {}

    def put(self, row: int, old: Mapping[str, str], new: Mapping[str, str]) -> bool:
        """Change one node's labels; whether that was a change."""
        if old == new:
            return False
        for key in old.keys() - new.keys():
            self._keys[key].put(row, None)
        for key, value in new.items():
            if old.get(key) != value:
                if key not in self._keys:
                    self._keys[key] = LabelColumn(self._columns.add(np.int32))
                self._keys[key].put(row, value)
        return True

    def has(self, key: str) -> bool:
        """Whether any node ever had a label of this key."""
        return key in self._keys

    def domains(self, key: str) -> Ids:
        """Each node's value of ``key`` as an id, 0 where it has none."""
        known = self._keys.get(key)
        return known.column.cells if known else np.zeros(self._columns.rows, dtype=np.int32)

    def in_domain(self, key: str, counts: Ids, counted: Mask | None = None) -> Amounts:
        """For each node the sum of ``counts`` over nodes with the same value of ``key``.

        Only nodes in ``counted`` add to the sums; a node without the label sums up to 0.
        """
        domains = self.domains(key)
        weights = counts if counted is None else counts * counted
        sums = np.bincount(domains, weights=weights, minlength=1).astype(np.int64)
        sums[0] = 0
        return sums[domains]

    def matches(self, wanted: Requirement) -> Mask:
        """The nodes whose labels meet one requirement."""
        known = self._keys.get(wanted.key)
        if known is None:
            return np.full(self._columns.rows, wanted.operator in {"absent", "notin"})
        cells = known.column.cells
        match wanted.operator:
            case "in":
                return _among(cells, known.ids_of(wanted.values))
            case "notin":
                return ~_among(cells, known.ids_of(wanted.values))
            case "exists":
                return np.not_equal(cells, 0)
            case "absent":
                return np.equal(cells, 0)
        return _among(
            cells,
            [id_ for value, id_ in known.values.items() if wanted.matches({wanted.key: value})],
        )


def _among(cells: Ids, ids: list[int]) -> Mask:
    if len(ids) == 1:
        return np.equal(cells, ids[0])
    return np.isin(cells, ids)
