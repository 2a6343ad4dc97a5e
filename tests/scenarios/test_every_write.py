"""Short lives, struck at their writes: whoever dies or is cut off there, all ends as it should.

``SIMULATION_STEP=1`` strikes at every write, as ``pilothouse simulate-faults --every-write`` does;
one that fails is replayed by ``--at`` with the name that is told.
"""

import os

import pytest

from pilothouse.ops.simulation import sweep
from pilothouse.ops.simulation.run import play

STEP = int(os.environ.get("SIMULATION_STEP", "100"))
LINES_SHOWN = 60
FOUND = {
    "rollout/controllers-a/lag/71": "one ReplicaSet was sized by the size another had before",
}
"""Strikes that once failed, and why. As with seeds, they are only likely places."""


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_once_stays_mended(name):
    outcome = play(sweep.named(name))
    assert not outcome.broken


@pytest.mark.parametrize("life", sweep.LIVES, ids=lambda life: life.__name__)
def test_whoever_is_struck_between_two_writes_it_ends_as_it_should(life):
    for name, outcome in sweep.swept((life,), STEP):
        told = "\n".join(outcome.lines[-LINES_SHOWN:])
        assert not outcome.broken, f"{name}: {outcome.broken}\n{told}"


def test_each_write_of_a_life_is_struck_by_every_victim():
    scenes = list(sweep.blows(sweep.LIVES[2], 20))
    commits = {scene.blow.commit for scene in scenes}
    assert {scene.blow.victim for scene in scenes} == {victim for victim, _ in sweep.STRUCK}
    assert min(commits) < max(commits)
    assert [sweep.named(sweep.name_of(scene)) for scene in scenes] == scenes
