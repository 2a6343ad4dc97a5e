"""The revisions of a StatefulSet: the one of now, the one before, and those nobody needs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from pilothouse.services.controllers.workload.stateful import steps
from pilothouse.services.machinery import adoption
from pilothouse.services.machinery.adoption import Claim
from pilothouse.services.machinery.kinds import revisions
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.kinds.revisions import POD_HASH, ControllerRevision, Wanted
from pilothouse.services.machinery.kinds.statefulsets import StatefulSet
from pilothouse.services.machinery.labels import Selector


@dataclass(frozen=True, slots=True)
class Birth:
    """A pod to create from ``template``, a template of ``revision``."""

    ordinal: int
    revision: str
    template: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Past:
    """``kept`` are the revisions in order; ``current`` is None while there is only the update."""

    claim: Claim[ControllerRevision]
    kept: tuple[ControllerRevision, ...]
    current: ControllerRevision | None
    update: Wanted

    @property
    def current_name(self) -> str:
        return self.current.metadata.name if self.current is not None else self.update.name

    def birth(self, stateful: StatefulSet, ordinal: int) -> Birth:
        """The pod of ``ordinal``, of the revision that it shall have."""
        if self.current is not None and steps.is_of_current(stateful, ordinal):
            template = revisions.template_of(self.current)
            return Birth(ordinal, self.current_name, template)
        return Birth(ordinal, self.update.name, stateful.spec.template)

    def outdated(self, limit: int, owned: Sequence[Pod]) -> tuple[ControllerRevision, ...]:
        """Revisions of no pod beyond ``limit``, the earliest first; a negative one keeps all."""
        live = {pod.metadata.labels.get(POD_HASH) for pod in owned}
        live |= {self.current_name, self.update.name}
        idle = [item for item in self.kept if item.metadata.name not in live]
        return tuple(idle[: max(len(idle) - limit, 0)]) if limit >= 0 else ()


def past(
    stateful: StatefulSet, selector: Selector | None, near: Iterable[ControllerRevision]
) -> Past:
    """``near`` are revisions of the namespace that it controls or that nobody controls."""
    claim = adoption.claimed(stateful.metadata, selector, near)
    kept = revisions.in_order([item for item in claim.owned if not item.metadata.deleting])
    known = stateful.status.current_revision
    return Past(
        claim=claim,
        kept=kept,
        current=next((item for item in kept if item.metadata.name == known), None),
        update=revisions.wanted(
            stateful.metadata.name, stateful.spec.template, kept, stateful.status.collision_count
        ),
    )
