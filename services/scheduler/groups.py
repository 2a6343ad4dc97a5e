"""How many pods of a group each node has: counted once, then kept right with every change.

A pod finds the groups it belongs to through its labels, so a change costs what touches it and
not the number of groups. Counts that nobody asked for lately are let go, and made anew if asked.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

import numpy as np

from pilothouse.services.scheduler.candidate import Candidate, Group, Term
from pilothouse.services.scheduler.columns import Column, Columns, Ids

TALLIES_MAX = 512

T = TypeVar("T", Group, Term)

Namespaces = Mapping[str, Mapping[str, str]]
Spot = tuple[Candidate, int]
"""A pod and the row of its node."""


def belongs(group: Group, pod: Candidate, namespaces: Namespaces) -> bool:
    """Whether the pod counts in the group, given the labels of all namespaces."""
    if group.selector is None or (group.live_only and pod.terminating):
        return False
    if pod.key.namespace not in group.namespaces:
        wider = group.namespace_selector
        if wider is None or not wider.matches(namespaces.get(pod.key.namespace, {})):
            return False
    return group.selector.matches(pod.labels)


class ByLabel(Generic[T]):
    """Groups, or terms on groups, found by a label that their members must have."""

    def __init__(self) -> None:
        self._by_label: dict[tuple[str, str] | None, dict[T, None]] = {}

    def add(self, item: T) -> None:
        self._by_label.setdefault(_label_of(item), {})[item] = None

    def remove(self, item: T) -> None:
        label = _label_of(item)
        del self._by_label[label][item]
        if not self._by_label[label]:
            del self._by_label[label]

    def of(self, pod: Candidate, namespaces: Namespaces) -> list[T]:
        """Those that the pod belongs to."""
        if not self._by_label:
            return []
        labels: Iterable[tuple[str, str] | None] = (None, *pod.labels.items())
        return [
            item
            for label in labels
            for item in self._by_label.get(label, ())
            if belongs(_group_of(item), pod, namespaces)
        ]


class Tallies:
    """Pods a node, by controlling owner and by group."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._tallies: dict[Hashable, Column[np.int32]] = {}
        self._groups: ByLabel[Group] = ByLabel()

    def add(self, spot: Spot, namespaces: Namespaces, times: int = 1) -> None:
        """Count a pod on a node; with ``times`` -1 it goes."""
        pod, row = spot
        if pod.owner and not pod.terminating:
            tally = self._tallies.get(pod.owner)
            if tally is not None:
                tally.cells[row] += times
        for group in self._groups.of(pod, namespaces):
            self._tallies[group].cells[row] += times

    def of_owner(self, uid: str, pods: Iterable[Spot]) -> Ids:
        """Live pods of an owner on each node; ``pods`` is read when nothing is counted yet."""
        tally = self._recall(uid)
        if tally is None:
            tally = self._count(uid, (spot for spot in pods if not spot[0].terminating))
        return tally.cells

    def of_group(self, group: Group, pods: Iterable[Spot], namespaces: Namespaces) -> Ids:
        """Pods of a group on each node; ``pods`` is read when nothing is counted yet."""
        tally = self._recall(group)
        if tally is None:
            tally = self._count(group, (s for s in pods if belongs(group, s[0], namespaces)))
            self._groups.add(group)
        return tally.cells

    def forget_namespaces(self) -> None:
        """Namespaces' labels changed: counts that chose by them are made anew when asked."""
        for key in list(self._tallies):
            if isinstance(key, Group) and key.namespace_selector is not None:
                self._drop(key)

    def _recall(self, key: Hashable) -> Column[np.int32] | None:
        tally = self._tallies.pop(key, None)
        if tally is not None:
            self._tallies[key] = tally
        return tally

    def _count(self, key: Hashable, pods: Iterable[Spot]) -> Column[np.int32]:
        if len(self._tallies) >= TALLIES_MAX:
            self._drop(next(iter(self._tallies)))
        tally = self._tallies[key] = self._columns.add(np.int32)
        for _, row in pods:
            tally.cells[row] += 1
        return tally

    def _drop(self, key: Hashable) -> None:
        self._columns.drop(self._tallies.pop(key))
        if isinstance(key, Group):
            self._groups.remove(key)


class Repulsions:
    """Required anti-affinity of pods that have a node: it also binds those that come later."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._carriers: dict[Term, Column[np.int32]] = {}
        self._pods: dict[Term, int] = {}
        self._terms: ByLabel[Term] = ByLabel()

    def add(self, spot: Spot) -> None:
        """A pod that may carry terms is on a node."""
        pod, row = spot
        for term in pod.neighbours.apart:
            if term not in self._carriers:
                self._carriers[term] = self._columns.add(np.int32)
                self._pods[term] = 0
                self._terms.add(term)
            self._carriers[term].cells[row] += 1
            self._pods[term] += 1

    def remove(self, spot: Spot) -> None:
        """It goes."""
        pod, row = spot
        for term in pod.neighbours.apart:
            self._carriers[term].cells[row] -= 1
            self._pods[term] -= 1
            if not self._pods[term]:
                self._columns.drop(self._carriers.pop(term))
                self._terms.remove(term)
                del self._pods[term]

    def against(self, pod: Candidate, namespaces: Namespaces) -> list[tuple[Term, Ids]]:
        """The carried terms that mean this pod, and how many carriers each node has."""
        return [(term, self._carriers[term].cells) for term in self._terms.of(pod, namespaces)]


def _group_of(item: Group | Term) -> Group:
    return item.group if isinstance(item, Term) else item


def _label_of(item: Group | Term) -> tuple[str, str] | None:
    selector = _group_of(item).selector
    for wanted in selector.requirements if selector is not None else ():
        if wanted.operator == "in" and len(wanted.values) == 1:
            return wanted.key, next(iter(wanted.values))
    return None
