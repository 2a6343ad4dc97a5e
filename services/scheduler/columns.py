"""Numpy columns that share their rows: adding or taking a row costs a cell of each."""

from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

ROWS_FIRST = 64

Mask = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.int32]
Amounts = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]

S = TypeVar("S", bound=np.generic)


class Column(Generic[S]):
    """One value a row; ``cells`` is the live part, replaced when the number of rows changes."""

    def __init__(self, kind: type[S], rows: int) -> None:
        self._store: npt.NDArray[S] = np.zeros(max(rows, ROWS_FIRST), dtype=kind)
        self.cells: npt.NDArray[S] = self._store[:rows]

    def resize(self, rows: int) -> None:
        """Show ``rows`` rows; new ones hold zero."""
        if rows > len(self._store):
            grown = np.zeros(max(rows, 2 * len(self._store)), dtype=self._store.dtype)
            grown[: len(self.cells)] = self.cells
            self._store = grown
        self.cells = self._store[:rows]

    def take(self, row: int, last: int) -> None:
        """Overwrite ``row`` with the last one, which becomes zero."""
        self._store[row] = self._store[last]
        self._store[last] = self._store.dtype.type(0)


class Columns:
    """The columns of one table."""

    def __init__(self) -> None:
        self.rows = 0
        self._columns: list[Column[Any]] = []

    def add(self, kind: type[S]) -> Column[S]:
        """A new column of zeros."""
        column = Column(kind, self.rows)
        self._columns.append(column)
        return column

    def drop(self, column: Column[Any]) -> None:
        """Let go of a column."""
        self._columns.remove(column)

    def append(self) -> int:
        """A new row of zeros, at the end."""
        self.rows += 1
        for column in self._columns:
            column.resize(self.rows)
        return self.rows - 1

    def remove(self, row: int) -> int:
        """Take a row out; the row that was last moves into its place and is returned."""
        last = self.rows - 1
        self.rows = last
        for column in self._columns:
            column.take(row, last)
            column.resize(last)
        return last
