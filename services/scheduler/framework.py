"""What a plugin is: it refuses nodes, or it ranks them, always all of them in one expression."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.columns import Mask, Scores
from pilothouse.services.scheduler.nodetable import NodeTable

SCORE_MAX = 100.0

Refusal = tuple[str, Mask]
"""The sentence a user reads, and the nodes (true) to which it applies."""


class Filter(Protocol):
    """Keeps a pod off nodes. ``name`` is the plugin's name in Kubernetes."""

    @property
    def name(self) -> str: ...

    def refuse(self, pod: Candidate, table: NodeTable) -> Iterable[Refusal]:
        """Nothing when the pod may go anywhere; a node in any of the masks is out."""


class Precondition(Protocol):
    """Keeps a pod off all nodes alike. ``name`` is the plugin's name in Kubernetes."""

    @property
    def name(self) -> str: ...

    def hinders(self, pod: Candidate, table: NodeTable) -> str:
        """The sentence a user reads; empty when nothing does."""


class Score(Protocol):
    """Ranks nodes. ``name`` is the plugin's name in Kubernetes."""

    @property
    def name(self) -> str: ...

    def score(self, pod: Candidate, table: NodeTable, fits: Mask) -> Scores | None:
        """0 to 100 for every node, of which only those in ``fits`` count; None: no opinion."""


@dataclass(frozen=True, slots=True)
class Weighted:
    """A score and how much it counts."""

    plugin: Score
    weight: float


@dataclass(frozen=True, slots=True)
class Profile:
    """The plugins that decide, in the order in which they refuse."""

    filters: tuple[Filter, ...]
    scores: tuple[Weighted, ...]
    preconditions: tuple[Precondition, ...] = ()
