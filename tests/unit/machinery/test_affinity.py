"""Which nodes a pod's selector and required affinity admit."""

import pytest

from pilothouse.services.machinery.kinds import affinity
from pilothouse.services.machinery.kinds.affinity import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
)
from pilothouse.services.machinery.labels import LabelSelectorRequirement

LABELS = {"disk": "ssd", "cores": "8"}


def requirement(key, operator, *values):
    return LabelSelectorRequirement(key=key, operator=operator, values=values)


def needing(*terms):
    selector = NodeSelector(node_selector_terms=terms)
    return Affinity(node_affinity=NodeAffinity(required=selector))


def term(*expressions, fields=()):
    return NodeSelectorTerm(match_expressions=expressions, match_fields=fields)


NAMED = requirement("metadata.name", "In", "n1")


@pytest.mark.parametrize(
    ("wanted", "admitted"),
    [
        (None, True),
        (Affinity(), True),
        (needing(), False),
        (needing(term()), False),
        (needing(term(requirement("disk", "In", "ssd", "nvme"))), True),
        (needing(term(requirement("disk", "NotIn", "ssd"))), False),
        (needing(term(requirement("gpu", "DoesNotExist"))), True),
        (needing(term(requirement("disk", "Exists"))), True),
        (needing(term(requirement("cores", "Gt", "4"), requirement("cores", "Lt", "9"))), True),
        (needing(term(requirement("cores", "Gt", "8"))), False),
        (needing(term(fields=(NAMED,))), True),
        (needing(term(fields=(requirement("metadata.name", "NotIn", "n1"),))), False),
        (needing(term(requirement("disk", "In", "tape"), fields=(NAMED,))), False),
        (needing(term(requirement("disk", "In", "tape")), term(fields=(NAMED,))), True),
    ],
)
def test_one_term_must_hold_in_full(wanted, admitted):
    assert affinity.admits({}, wanted, LABELS, "n1") == admitted


def test_the_selector_must_hold_as_well():
    assert affinity.admits({"disk": "ssd"}, needing(term(fields=(NAMED,))), LABELS, "n1")
    assert not affinity.admits({"disk": "tape"}, needing(term(fields=(NAMED,))), LABELS, "n1")


def test_the_node_that_is_named():
    assert affinity.named_node(needing(term(fields=(NAMED,)))) == "n1"
    several = requirement("metadata.name", "In", "n1", "n2")
    assert affinity.named_node(needing(term(fields=(several,)))) == ""
    assert affinity.named_node(needing(term(requirement("metadata.name", "In", "n1")))) == ""
    assert affinity.named_node(None) == affinity.named_node(Affinity()) == ""
