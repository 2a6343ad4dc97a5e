"""The queue as text: what happens to it, line by line, and the trace that is expected."""

import pytest

from pilothouse.services.machinery.objects import Key
from pilothouse.services.scheduler.queue import Change, Queue

SCENARIOS = {
    "first come, first served within a priority": """
        add a 0
        add b 5
        add c 5
        pop 0 -> b
        pop 0 -> c
        pop 0 -> a
        pop 0 -> -
    """,
    "a change of a node brings refused pods back at once, however often they were tried": """
        add a 0
        pop 0 -> a
        refused a TaintToleration 0
        node 0
        pop 0 -> a
        refused a TaintToleration 0
        node 0
        pop 0 -> a
        refused a TaintToleration 0
        pop 60 -> -
        node 60
        pop 60 -> a
    """,
    "only changes that can help bring a pod back": """
        add a 0
        pop 0 -> a
        refused a NodeAffinity 0
        gone 30
        placed 30
        pop 30 -> -
        node 30
        pop 30 -> a
    """,
    "frequent changes honour the backoff": """
        add a 0
        pop 0 -> a
        refused a NodeResourcesFit 0
        gone 0.1
        pop 0.1 -> -
        due -> 0.5
        pop 0.5 -> a
        refused a NodeResourcesFit 0.5
        gone 0.6
        pop 1.4 -> -
        pop 1.5 -> a
        refused a NodeResourcesFit 1.5
        gone 30
        pop 30 -> a
    """,
    "a failed bind is tried again after the backoff, which grows and is bounded": """
        add a 0
        pop 0 -> a
        failed a 0
        pop 0.4 -> -
        pop 0.5 -> a
        failed a 1
        due -> 2.0
        pop 2 -> a
        failed a 2
        pop 4 -> a
        failed a 4
        pop 8 -> a
        failed a 8
        pop 16 -> a
        failed a 20
        due -> 30.0
    """,
    "a pod that is being bound is not given out twice": """
        add a 0
        pop 0 -> a
        add a 0
        pop 0 -> -
        remove a
        add a 0
        pop 0 -> a
    """,
    "what is removed does not come back": """
        add a 0
        add b 0
        remove a
        pop 0 -> b
        refused b NodeResourcesFit 0
        remove b
        node 1
        pop 1 -> -
        failed b 1
        due -> None
    """,
    "a pod that changed is looked at again, in its new priority": """
        add a 0
        add b 1
        pop 0 -> b
        refused b NodeAffinity 0
        add b 0
        add a 3
        pop 0 -> a
        pop 0 -> b
    """,
}


def popped(queue, now):
    key = queue.pop(float(now))
    return key.name if key else "-"


VERBS = {
    "add": lambda queue, name, priority: queue.add(Key("", name), int(priority)),
    "remove": lambda queue, name: queue.remove(Key("", name)),
    "pop": popped,
    "refused": lambda queue, name, plugin, now: queue.refused(
        Key("", name), frozenset({plugin}), float(now)
    ),
    "failed": lambda queue, name, now: queue.failed(Key("", name), float(now)),
    "due": lambda queue: str(queue.next_due()),
    "node": lambda queue, now: queue.move(Change.NODE, float(now)),
    "gone": lambda queue, now: queue.move(Change.POD_GONE, float(now)),
    "placed": lambda queue, now: queue.move(Change.POD_PLACED, float(now)),
}


def act(queue, line):
    verb, *words = line.split(" -> ")[0].split()
    return VERBS[verb](queue, *words)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name):
    queue = Queue()
    trace, expected = [], []
    for line in map(str.strip, SCENARIOS[name].strip().splitlines()):
        answer = act(queue, line)
        expected.append(line)
        trace.append(f"{line.split(' -> ')[0]} -> {answer}" if " -> " in line else line)
    assert trace == expected


def test_counts_tell_where_pods_wait():
    queue = Queue()
    for name in "abcd":
        queue.add(Key("", name), 0)
    for _ in range(3):
        queue.pop(0)
    queue.refused(Key("", "a"), frozenset({"NodeAffinity"}), 0)
    queue.failed(Key("", "b"), 0)
    assert queue.counts() == {"active": 1, "backoff": 1, "unschedulable": 1, "deciding": 1}
