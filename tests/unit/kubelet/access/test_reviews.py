"""Answers of the API server, asked for once and kept for their time."""

import json

import pytest

from pilothouse.services.kubelet.adapters.certificates.reviews import NodeReviews
from pilothouse.services.machinery.errors import ServiceUnavailable
from pilothouse.services.runtime.door.reviews import Lifetimes, Reviews
from pilothouse.services.runtime.door.users import User


class FakeObjects:
    def __init__(self):
        self.asked = []
        self.away = False

    async def create(self, resource, namespace, body):
        if self.away:
            raise ServiceUnavailable("away")
        self.asked.append(body)
        spec = body["spec"]
        if resource.kind == "TokenReview":
            known = spec["token"] == "right"
            user = {"username": "jane", "groups": ["devs"], "extra": {"a": ["b"]}}
            return json.dumps({"status": {"authenticated": known, "user": user if known else {}}})
        allowed = "devs" in spec["groups"]
        return json.dumps({"status": {"allowed": allowed}})


class FakeClock:
    def __init__(self):
        self.time = 0.0

    def now(self):
        return self.time

    def monotonic(self):
        return self.time

    async def sleep(self, seconds):
        self.time += seconds


@pytest.fixture
def objects():
    return FakeObjects()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def reviews(objects, clock):
    return NodeReviews(Reviews(objects, Lifetimes(120.0, 300.0, 30.0), clock), "node-1")


async def test_tokens_are_kept_but_not_in_clear(reviews, objects, clock):
    assert await reviews.user_of("right") == User("jane", "", ("devs",), {"a": ("b",)})
    assert await reviews.user_of("wrong") is None
    await reviews.user_of("right")
    await reviews.user_of("wrong")
    assert len(objects.asked) == 2
    assert "right" not in repr(reviews._reviews._users)
    clock.time = 121.0
    await reviews.user_of("right")
    assert len(objects.asked) == 3


async def test_refusals_are_forgotten_sooner(reviews, objects, clock):
    dev, guest = User("jane", groups=("devs",)), User("guest")
    assert await reviews.allows(dev, "get", "stats")
    assert not await reviews.allows(guest, "get", "stats")
    assert objects.asked[0]["spec"]["resourceAttributes"] == {
        "version": "v1",
        "resource": "nodes",
        "name": "node-1",
        "subresource": "stats",
        "verb": "get",
    }
    clock.time = 31.0
    await reviews.allows(dev, "get", "stats")
    await reviews.allows(guest, "get", "stats")
    assert len(objects.asked) == 3
    assert await reviews.allows(dev, "create", "stats")
    assert len(objects.asked) == 4


async def test_no_answer_is_not_kept(reviews, objects):
    objects.away = True
    with pytest.raises(ServiceUnavailable):
        await reviews.allows(User("jane", groups=("devs",)), "get", "stats")
    objects.away = False
    assert await reviews.allows(User("jane", groups=("devs",)), "get", "stats")
