"""Writes that nobody answered: what came of them is found out before anything more is done."""

from types import SimpleNamespace

import msgspec
import pytest

from pilothouse.services.controllers.adapters.workload.doubts import Doubts
from pilothouse.services.machinery.errors import Forbidden, ServiceUnavailable
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key, Metadata, OwnerReference
from pilothouse.services.runtime.control.settled import Settled

OWNER = Metadata(name="web", namespace="a", uid="rs")
MINE = OwnerReference(
    api_version="apps/v1", kind="ReplicaSet", name="web", uid="rs", controller=True
)


def pod(name, revision, *owners):
    metadata = Metadata(
        name=name, namespace="a", uid=name, resource_version=str(revision), owner_references=owners
    )
    return Pod(metadata=metadata)


class Outside:
    """The API, a cache that lags behind it, and a clock."""

    def __init__(self, there, shown, revision):
        self.there = there
        self.shown = {item.metadata.key: item for item in shown}
        self.revision = revision
        self.refusals = 2

    def get(self, key):
        return self.shown.get(key)

    def by_index(self, name, value):
        return list(self.shown.values())

    async def list(self, resource, selection):
        if self.refusals:
            self.refusals -= 1
            raise ServiceUnavailable("away")
        return [msgspec.json.encode(item).decode() for item in self.there], 20

    async def sleep(self, seconds):
        assert seconds > 0


def made(there, shown=(), revision=5):
    outside = Outside(there, shown, revision)
    settled = Settled(outside)
    return (
        outside,
        settled,
        Doubts(SimpleNamespace(objects=outside, clock=outside), settled, outside),
    )


async def write(doubts, error):
    async with doubts.settling(OWNER):
        with doubts.noting(OWNER.key):
            raise error


async def lose(doubts, error):
    with pytest.raises(type(error)):
        await write(doubts, error)


async def test_a_pod_that_was_made_after_all_is_waited_for():
    outside, settled, doubts = made([pod("p", 9, MINE), pod("stranger", 30)])
    await lose(doubts, ServiceUnavailable("the answer was lost"))
    assert not settled.is_settled(OWNER.key)
    outside.revision = 9
    assert settled.is_settled(OWNER.key)


async def test_a_pod_that_went_after_all_is_waited_for():
    outside, settled, doubts = made([], [pod("p", 4, MINE)], revision=20)
    await lose(doubts, ServiceUnavailable("the answer was lost"))
    assert not settled.is_settled(OWNER.key)
    outside.shown.clear()
    assert settled.is_settled(OWNER.key)


async def test_what_came_after_the_look_is_not_taken_for_gone():
    _, settled, doubts = made([], [pod("p", 25, MINE)], revision=25)
    await lose(doubts, ServiceUnavailable("the answer was lost"))
    assert settled.is_settled(OWNER.key)


async def test_a_refusal_leaves_no_doubt():
    outside, settled, doubts = made([pod("p", 9, MINE)])
    await lose(doubts, Forbidden("no"))
    assert outside.refusals == 2
    assert settled.is_settled(Key("a", "web"))
