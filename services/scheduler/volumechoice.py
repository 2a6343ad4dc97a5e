"""Which volumes the claims of a pod would get on each node: all nodes in a few expressions."""

from dataclasses import dataclass

import numpy as np

from pilothouse.services.machinery.kinds import binding
from pilothouse.services.machinery.kinds.volumes import Claim, PersistentVolume, StorageClass
from pilothouse.services.machinery.labels import Requirement
from pilothouse.services.scheduler import eligible
from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.columns import Mask
from pilothouse.services.scheduler.nodetable import NodeTable
from pilothouse.services.scheduler.volumetable import is_bound


@dataclass(frozen=True, slots=True)
class Preparation:
    """What is to be written before a pod goes to ``node``.

    ``reserve``: volumes for claims; ``select``: claims whose volumes are to be made for the node.
    """

    node: str
    reserve: tuple[tuple[Claim, PersistentVolume], ...] = ()
    select: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """``fits``: the nodes on which every claim gets a volume; ``picks``: which, by claim."""

    fits: Mask
    picks: tuple[tuple[Claim, tuple[tuple[PersistentVolume, Mask], ...]], ...]


def late(pod: Candidate, table: NodeTable) -> list[Claim]:
    """The claims of the pod whose volumes are chosen with its node."""
    found = (table.volumes.claims.get(need.claim) for need in pod.claims)
    return [claim for claim in found if claim is not None and not is_bound(claim)]


def choose(claims: list[Claim], table: NodeTable) -> Choice:
    """The smallest claim chooses first, and what it takes on a node no other has there."""
    fits = np.ones(len(table), dtype=np.bool_)
    used: dict[str, Mask] = {}
    picks: list[tuple[Claim, tuple[tuple[PersistentVolume, Mask], ...]]] = []
    for claim in sorted(claims, key=lambda item: (binding.requested(item), item.metadata.name)):
        made = _made(claim, table.volumes.class_of(claim), table)
        chosen = claim.metadata.annotations.get(binding.SELECTED_NODE)
        if chosen is not None:
            only = np.zeros(len(table), dtype=np.bool_)
            if chosen in table.rows:
                only[table.rows[chosen]] = True
            fits &= made & only
            picks.append((claim, ()))
            continue
        left = np.ones(len(table), dtype=np.bool_)
        mine = []
        for volume in binding.fitting(claim, table.volumes.free(binding.class_of(claim))):
            name = volume.metadata.name
            taken = used.get(name)
            nodes = left & reached(name, table)
            if taken is not None:
                nodes &= ~taken
            if nodes.any():
                mine.append((volume, nodes))
                used[name] = nodes if taken is None else taken | nodes
                left &= ~nodes
            if not left.any():
                break
        fits &= ~left | made
        picks.append((claim, tuple(mine)))
    return Choice(fits, tuple(picks))


def reached(volume: str, table: NodeTable) -> Mask:
    """The nodes on which it can be had."""
    terms = table.volumes.terms(volume)
    if terms is None:
        return np.ones(len(table), dtype=np.bool_)
    return eligible.of_any(terms, table)


def _made(claim: Claim, storage_class: StorageClass | None, table: NodeTable) -> Mask:
    """The nodes for which somebody would make a volume."""
    if storage_class is None or storage_class.provisioner in {"", binding.NO_PROVISIONER}:
        return np.zeros(len(table), dtype=np.bool_)
    if not storage_class.allowed_topologies:
        return np.ones(len(table), dtype=np.bool_)
    nodes = np.zeros(len(table), dtype=np.bool_)
    for term in storage_class.allowed_topologies:
        meets = np.ones(len(table), dtype=np.bool_)
        for wanted in term.match_label_expressions:
            meets &= table.labels.matches(Requirement(wanted.key, "in", frozenset(wanted.values)))
        nodes |= meets
    return nodes


def prepare(pod: Candidate, table: NodeTable, row: int) -> Preparation | None:
    """What the pod's claims need on the node that was chosen; None: nothing."""
    claims = late(pod, table)
    if not claims:
        return None
    reserve, select = [], []
    for claim, picks in choose(claims, table).picks:
        volume = next((volume for volume, nodes in picks if nodes[row]), None)
        if volume is not None:
            reserve.append((claim, volume))
        else:
            select.append(claim)
    return Preparation(table.names[row], tuple(reserve), tuple(select))
