"""The nodes that a pod's own node selector and required node affinity choose."""

from collections.abc import Iterable

import numpy as np

from pilothouse.services.machinery.labels import Requirement
from pilothouse.services.scheduler.candidate import Candidate, NodeTerm
from pilothouse.services.scheduler.columns import Mask
from pilothouse.services.scheduler.nodetable import NodeTable


def chosen(pod: Candidate, table: NodeTable) -> Mask | None:
    """The nodes it may be on by selector and affinity; None: any."""
    if not pod.node_selector and pod.node_terms is None:
        return None
    nodes = np.ones(len(table), dtype=np.bool_)
    for wanted in pod.node_selector:
        nodes &= table.labels.matches(wanted)
    if pod.node_terms is not None:
        nodes &= of_any(pod.node_terms, table)
    return nodes


def of_any(terms: Iterable[NodeTerm], table: NodeTable) -> Mask:
    """The nodes that meet one of the terms."""
    nodes = np.zeros(len(table), dtype=np.bool_)
    for term in terms:
        nodes |= of_term(term, table)
    return nodes


def of_term(term: NodeTerm, table: NodeTable) -> Mask:
    """The nodes that meet all of a term; a term without requirements is met by none."""
    nodes = np.full(len(table), bool(term.labels or term.names))
    for wanted in term.labels:
        nodes &= table.labels.matches(wanted)
    for wanted in term.names:
        nodes &= _named(wanted, table)
    return nodes


def _named(wanted: Requirement, table: NodeTable) -> Mask:
    """``matchFields`` knows one field, metadata.name, with In and NotIn."""
    nodes = np.zeros(len(table), dtype=np.bool_)
    for name in wanted.values:
        row = table.rows.get(name)
        if row is not None:
            nodes[row] = True
    return ~nodes if wanted.operator == "notin" else nodes
