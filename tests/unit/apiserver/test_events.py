"""Events, by the group they are written by."""

import pytest

from pilothouse.services.machinery.errors import Invalid


async def test_events_of_both_groups_are_the_same_objects(client):
    body = {
        "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "web"},
        "reason": "Started", "message": "it runs", "type": "Normal", "count": 2,
    }  # fmt: skip
    await client.create("events", body)
    seen = await client.get("events.k8s.io/events", "e")
    assert seen["apiVersion"] == "events.k8s.io/v1"
    assert (seen["note"], seen["regarding"]["name"]) == ("it runs", "web")
    with pytest.raises(Invalid, match=r"message: .*field is immutable"):
        await client.patch("events.k8s.io/events", "e", {"note": "it ran"})
    await client.patch("events", "e", {"message": "it ran"})
    assert (await client.get("events.k8s.io/events", "e"))["note"] == "it ran"
    fields = "regarding.name=web,reason=Started"
    assert await client.names("events.k8s.io/events", field_selector=fields) == ["e"]


async def test_the_newer_group_of_events_asks_for_more(client):
    body = {
        "metadata": {"name": "e"}, "regarding": {"kind": "Pod", "name": "web"}, "type": "Normal",
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "a.b/c",
        "reportingInstance": "i", "reason": "R", "action": "A",
    }  # fmt: skip
    for wrong, told in (
        ({"eventTime": None}, "eventTime: Required value"),
        ({"type": "Odd"}, "type: Invalid value: .*has invalid value: Odd"),
        ({"deprecatedCount": 1}, "count: .*needs to be unset"),
        ({"series": {"count": 1}}, "series.count: .*should be at least 2"),
    ):
        with pytest.raises(Invalid, match=told):
            await client.create("events.k8s.io/events", {**body, **wrong})
    await client.create("events.k8s.io/events", body)
    series = {"series": {"count": 3, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}}
    await client.patch("events.k8s.io/events", "e", series)
