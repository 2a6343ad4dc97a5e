"""Revisions of a Deployment: which ReplicaSet has the template of now, and how they are numbered.

A template is known by what it says, not by its hash: the hash only makes a name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import msgspec

from pilothouse.services.machinery import adoption, labels
from pilothouse.services.machinery.adoption import Claim
from pilothouse.services.machinery.kinds.pods import PodTemplate
from pilothouse.services.machinery.kinds.revisions import digest, ending
from pilothouse.services.machinery.kinds.workloads import (
    REVISION,
    TEMPLATE_HASH,
    Deployment,
    ReplicaSet,
)

HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
HISTORY_CHARACTERS_MAX = 2000
NOT_COPIED = frozenset({REVISION, HISTORY, DESIRED, MAXIMUM, LAST_APPLIED})


def claimed(deployment: Deployment, near: Iterable[ReplicaSet]) -> Claim[ReplicaSet]:
    """Of the namespace's ReplicaSets that it controls or that nobody controls; oldest first."""
    selector = labels.compile_selector(deployment.spec.selector)
    claim = adoption.claimed(deployment.metadata, selector, near)
    return replace(claim, owned=tuple(sorted(claim.owned, key=_age)))


def _age(replicaset: ReplicaSet) -> tuple[str, str]:
    return (replicaset.metadata.creation_timestamp or "", replicaset.metadata.name)


def split(
    deployment: Deployment, owned: Sequence[ReplicaSet]
) -> tuple[ReplicaSet | None, list[ReplicaSet]]:
    """The ReplicaSet of the present template (the oldest, if there are several), and the others."""
    wanted = fingerprint(deployment.spec.template)
    new = next((item for item in owned if fingerprint(item.spec.template) == wanted), None)
    return new, [item for item in owned if item is not new]


def fingerprint(template: PodTemplate) -> bytes:
    """The same for templates that say the same, whatever the order of their fields."""
    shown = {key: value for key, value in template.metadata.labels.items() if key != TEMPLATE_HASH}
    said = [shown, template.metadata.annotations, *template.metadata.finalizers]
    return msgspec.json.encode(said, order="sorted") + digest(bytes(template.spec))


def template_hash(template: PodTemplate, collisions: int | None) -> str:
    """The name's end, in letters that make no words; ``collisions`` finds another one."""
    return ending(fingerprint(template), collisions)


def number(replicaset: ReplicaSet) -> int:
    """Its revision, 0 when it has none."""
    return _integer(replicaset.metadata.annotations.get(REVISION, ""))


def desired(replicaset: ReplicaSet) -> int | None:
    """What the Deployment wanted in all when it last sized this ReplicaSet."""
    text = replicaset.metadata.annotations.get(DESIRED, "")
    return int(text) if text.isdecimal() else None


def maximum(replicaset: ReplicaSet) -> int:
    """What the Deployment allowed in all when it last sized this ReplicaSet, 0 if never."""
    return _integer(replicaset.metadata.annotations.get(MAXIMUM, ""))


def annotations(
    deployment: Deployment, new: ReplicaSet | None, olds: Sequence[ReplicaSet]
) -> dict[str, str]:
    """What the ReplicaSet of the present template must be annotated with."""
    copied = {
        key: value
        for key, value in deployment.metadata.annotations.items()
        if key not in NOT_COPIED
    }
    following = max((number(item) for item in olds), default=0) + 1
    if new is None:
        return {**copied, REVISION: str(following)}
    present = number(new)
    if present >= following:
        return {**copied, REVISION: str(present)}
    history = _history(new.metadata.annotations.get(HISTORY, ""), present)
    return {**copied, REVISION: str(following), **({HISTORY: history} if history else {})}


def _history(earlier: str, present: int) -> str:
    """The revisions it had before, the latest of them as far as there is room."""
    numbers = [*(part for part in earlier.split(",") if part), *([str(present)] if present else [])]
    while len(",".join(numbers)) > HISTORY_CHARACTERS_MAX:
        del numbers[0]
    return ",".join(numbers)


def outdated(deployment: Deployment, olds: Sequence[ReplicaSet]) -> tuple[ReplicaSet, ...]:
    """Old ReplicaSets beyond the history's limit, earliest revision first, if they are empty."""
    staying = sorted((item for item in olds if not item.metadata.deleting), key=_place)
    excess = max(len(staying) - deployment.spec.revision_history_limit, 0)
    return tuple(
        item
        for item in staying[:excess]
        if not item.spec.replicas
        and not item.status.replicas
        and item.status.observed_generation >= item.metadata.generation
    )


def _place(replicaset: ReplicaSet) -> tuple[int, tuple[str, str]]:
    return (number(replicaset), _age(replicaset))


def differing(present: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """The part of ``wanted`` that ``present`` does not say."""
    return {key: value for key, value in wanted.items() if present.get(key) != value}


def _integer(text: str) -> int:
    return int(text) if text.isdecimal() else 0
