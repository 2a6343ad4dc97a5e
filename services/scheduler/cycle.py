"""The decision for one pod: refuse, rank, break ties round robin. Binds nothing."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pilothouse.services.scheduler.candidate import Candidate
from pilothouse.services.scheduler.columns import Mask, Scores
from pilothouse.services.scheduler.framework import Profile
from pilothouse.services.scheduler.nodetable import NodeTable


@dataclass(frozen=True, slots=True)
class Refusals:
    """Why no node takes the pod: how many nodes each sentence applies to, and who refused.

    ``hindrance``: what it is about the pod itself, whichever nodes there are.
    """

    nodes: int
    sentences: tuple[tuple[str, int], ...]
    plugins: frozenset[str]
    hindrance: str = ""

    def sentence(self) -> str:
        """What the FailedScheduling event says, in Kubernetes' words."""
        if not self.nodes:
            return "no nodes available to schedule pods"
        if self.hindrance:
            return f"0/{self.nodes} nodes are available: {self.hindrance}."
        told = ", ".join(sorted(f"{count} {sentence}" for sentence, count in self.sentences))
        return f"0/{self.nodes} nodes are available: {told}."


@dataclass(frozen=True, slots=True)
class Decision:
    """Either the node with its row, to go on from at the next tie, or the refusals."""

    node: str = ""
    row: int = -1
    refusals: Refusals | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One plugin on one node: ``reason`` when it refuses, ``score`` (weighted) when it ranks."""

    plugin: str
    filters: bool
    reason: str = ""
    score: float = 0.0


def schedule(pod: Candidate, table: NodeTable, profile: Profile, last_row: int) -> Decision:
    """The best node for the pod; of equals the first after ``last_row``, going round."""
    for told in _hindrances(pod, table, profile):
        who = frozenset((told.plugin,))
        return Decision(refusals=Refusals(len(table), (), who, told.reason))
    refused = np.zeros(len(table), dtype=np.bool_)
    for plugin in profile.filters:
        for _, nodes in plugin.refuse(pod, table):
            refused |= nodes
    if refused.all():
        return Decision(refusals=refusals(pod, table, profile))
    fits = ~refused
    total = _scores(pod, table, profile, fits)
    total[refused] = -np.inf
    best = (total == total.max()).nonzero()[0]
    row = int(best[np.searchsorted(best, last_row, "right") % len(best)])
    return Decision(table.names[row], row)


def refusals(pod: Candidate, table: NodeTable, profile: Profile) -> Refusals:
    """Each node counts with the first plugin that refuses it, as Kubernetes counts."""
    left = np.ones(len(table), dtype=np.bool_)
    sentences: Counter[str] = Counter()
    plugins: set[str] = set()
    for plugin in profile.filters:
        told: dict[str, Mask] = {}
        for sentence, nodes in plugin.refuse(pod, table):
            told[sentence] = told[sentence] | nodes if sentence in told else nodes
        counts = {sentence: int((nodes & left).sum()) for sentence, nodes in told.items()}
        sentences.update({sentence: count for sentence, count in counts.items() if count})
        if any(counts.values()):
            plugins.add(plugin.name)
        for nodes in told.values():
            left &= ~nodes
    return Refusals(len(table), tuple(sentences.items()), frozenset(plugins))


def verdicts(pod: Candidate, table: NodeTable, profile: Profile) -> list[list[Verdict]]:
    """For each row what every plugin says, filters first; for people, not for speed."""
    if not len(table):
        return []
    answers: list[list[Verdict]] = [[] for _ in range(len(table))]
    fits = np.ones(len(table), dtype=np.bool_)
    for told in _hindrances(pod, table, profile):
        fits[:] = False
        for answer in answers:
            answer.append(told)
    for plugin in profile.filters:
        reasons = [""] * len(table)
        for sentence, nodes in plugin.refuse(pod, table):
            fits &= ~nodes
            for row in np.flatnonzero(nodes).tolist():
                reasons[row] = f"{reasons[row]}, {sentence}" if reasons[row] else sentence
        for answer, reason in zip(answers, reasons, strict=True):
            answer.append(Verdict(plugin.name, filters=True, reason=reason))
    for weighted in profile.scores:
        scores = weighted.plugin.score(pod, table, fits)
        for row, answer in enumerate(answers):
            score = 0.0 if scores is None else float(scores[row]) * weighted.weight
            answer.append(Verdict(weighted.plugin.name, filters=False, score=score))
    return answers


def _hindrances(pod: Candidate, table: NodeTable, profile: Profile) -> Iterator[Verdict]:
    for asked in profile.preconditions:
        if reason := asked.hinders(pod, table):
            yield Verdict(asked.name, filters=True, reason=reason)


def _scores(pod: Candidate, table: NodeTable, profile: Profile, fits: Mask) -> Scores:
    total = np.zeros(len(table))
    for weighted in profile.scores:
        scores = weighted.plugin.score(pod, table, fits)
        if scores is not None:
            total += scores if weighted.weight == 1 else scores * weighted.weight
    return total
