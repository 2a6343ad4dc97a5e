"""What is to be written so that the shipped schemas and levels, and conditions, are right.

The specs of the two mandatory of each kind are always ours. A suggested one is ours as long as
its annotation says so; without one, as long as nobody but us has written it (generation 1).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pilothouse.services.apiserver.flow.standard import AUTO_UPDATE, MANDATORY

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """Documents to create, to replace, and whose status to replace."""

    create: Sequence[Document] = ()
    update: Sequence[Document] = ()
    status: Sequence[Document] = ()


def plan_specs(present: Mapping[str, Document], shipped: Iterable[Document]) -> Plan:
    """Create what is absent and bring up what is ours to keep; ``present`` is by name."""
    create: list[Document] = []
    update: list[Document] = []
    for wanted in shipped:
        name = wanted["metadata"]["name"]
        found = present.get(name)
        if found is None:
            create.append(wanted)
            continue
        annotations = found["metadata"].get("annotations") or {}
        mandatory = name in MANDATORY
        ours = mandatory or _kept_by_us(found, annotations)
        said = "true" if ours else "false"
        right = annotations.get(AUTO_UPDATE) == said
        if right and (not ours or found.get("spec") == wanted["spec"]):
            continue
        metadata = {**found["metadata"], "annotations": {**annotations, AUTO_UPDATE: said}}
        update.append({**found, "metadata": metadata, **({"spec": wanted["spec"]} if ours else {})})
    return Plan(create, update)


def plan_conditions(schemas: Iterable[Document], levels: Iterable[str], stamp: str) -> Plan:
    """The schemas whose condition ``Dangling`` is wrong or missing; ``stamp`` is the time now."""
    present = frozenset(levels)
    status: list[Document] = []
    for schema in schemas:
        level = schema["spec"]["priorityLevelConfiguration"]["name"]
        wanted = _dangling(level, found=level in present)
        conditions = (schema.get("status") or {}).get("conditions") or []
        old = next((each for each in conditions if each.get("type") == "Dangling"), None)
        if old is not None and all(old.get(key) == value for key, value in wanted.items()):
            continue
        since = stamp
        if old is not None and old.get("status") == wanted["status"]:
            since = old.get("lastTransitionTime") or stamp
        others = [each for each in conditions if each.get("type") != "Dangling"]
        told = {**wanted, "lastTransitionTime": since}
        status.append({**schema, "status": {"conditions": [*others, told]}})
    return Plan(status=status)


def _kept_by_us(found: Document, annotations: Mapping[str, str]) -> bool:
    said = annotations.get(AUTO_UPDATE)
    if said is not None and said.lower() in ("true", "t", "1"):
        return True
    if said is not None and said.lower() in ("false", "f", "0"):
        return False
    return bool(found["metadata"].get("generation", 1) == 1)


def _dangling(level: str, *, found: bool) -> Document:
    if found:
        return {
            "type": "Dangling",
            "status": "False",
            "reason": "Found",
            "message": "This FlowSchema references the PriorityLevelConfiguration object named "
            f'"{level}" and it exists',
        }
    return {
        "type": "Dangling",
        "status": "True",
        "reason": "NotFound",
        "message": "This FlowSchema references the PriorityLevelConfiguration object named "
        f'"{level}" but there is no such object',
    }
