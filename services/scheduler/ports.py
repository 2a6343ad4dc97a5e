"""What the scheduler asks of the outside, in its own words."""

from collections.abc import Sequence
from typing import Protocol

from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.objects import Key
from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.volumechoice import Preparation


class Cluster(Protocol):
    """Acts on pods. All raise ApiError."""

    async def bind(self, pairs: Sequence[tuple[Candidate, str]]) -> Sequence[ApiError | None]:
        """Give each pod its node, for good, and say so in an event; what refused each."""

    async def prepare(self, preparation: Preparation) -> None:
        """Write which volumes the claims of a pod are to have."""

    async def refuse(self, pod: Candidate, sentence: str) -> None:
        """Say in an event and in the pod's condition why no node takes it."""


class Pods(Protocol):
    """Looks pods up."""

    def candidate(self, key: Key) -> Candidate | None:
        """The pod, whoever schedules it and whether or not it has a node; None: no such pod."""
