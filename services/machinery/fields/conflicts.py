"""Fields that an apply would take from others, and how that is told."""

from dataclasses import dataclass

from pilothouse.services.machinery.errors import Cause
from pilothouse.services.machinery.fields import fieldset, paths
from pilothouse.services.machinery.fields.fieldset import FieldSet, Path
from pilothouse.services.machinery.fields.managers import Owner

REASON = "FieldManagerConflict"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field and who has it."""

    manager: Owner
    path: Path


class Conflicts(Exception):
    """An apply without force found others to own what it changes; in their order."""

    def __init__(self, found: list[Conflict]) -> None:
        super().__init__(_message(found))
        self.found = found

    @property
    def message(self) -> str:
        """One sentence for one conflict, else a list by manager."""
        return str(self.args[0])

    def causes(self) -> list[Cause]:
        """Each for ``status.details``."""
        return [
            Cause(paths.show(each.path), f"conflict with {each.manager.told()}", REASON)
            for each in self.found
        ]

    def without(self, fields: FieldSet) -> "Conflicts":
        """Those about other fields."""
        return Conflicts([each for each in self.found if not fieldset.has(fields, each.path)])


def of_sets(sets: dict[Owner, FieldSet]) -> Conflicts:
    """A conflict for every member of every set."""
    return Conflicts(
        [Conflict(who, path) for who in sorted(sets) for path in fieldset.members(sets[who])]
    )


def _message(found: list[Conflict]) -> str:
    if len(found) == 1:
        one = found[0]
        return (
            f"Apply failed with 1 conflict: conflict with {one.manager.told()}: "
            f"{paths.show(one.path)}"
        )
    lines: list[str] = []
    last: Owner | None = None
    for each in found:
        if each.manager != last:
            last = each.manager
            lines.append(f"conflicts with {last.told()}:")
        lines.append(f"- {paths.show(each.path)}")
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
