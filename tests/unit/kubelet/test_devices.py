"""Which devices there are, who gets which, and what is kept of it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.kubelet.devices import checkpoint, inventory, telling
from pilothouse.services.kubelet.devices.inventory import (
    GONE_SECONDS,
    Assignment,
    Device,
    Inventory,
    Offer,
    Owner,
    Shortage,
)
from pilothouse.services.kubelet.pod.views import Pod

GPU = "example.com/gpu"


def _two(**offer: object) -> Inventory:
    devices = {"a": Device("a", True, (0,)), "b": Device("b", False)}
    return Inventory({GPU: Offer(devices, **offer)})


def test_what_a_node_tells() -> None:
    assert (_two().capacity(0.0), _two().allocatable(0.0)) == ({GPU: "2"}, {GPU: "1"})
    gone = _two(gone_at=10.0)
    assert (gone.capacity(11.0), gone.allocatable(11.0)) == ({GPU: "2"}, {GPU: "0"})
    assert gone.capacity(10.0 + GONE_SECONDS) == {GPU: "0"}


def test_only_what_is_well_and_nobodys_is_given() -> None:
    found = _two()
    assert found.available(GPU, 1, {"p"}) == ["a"]
    with pytest.raises(Shortage, match="Requested: 2, Available: 1"):
        found.available(GPU, 2, set())
    found.assigned[Owner("p", "c")] = (Assignment(GPU, ("a",)),)
    assert found.free(GPU, {"p"}) == []
    assert found.free(GPU, set()) == ["a"]
    assert found.release("p")
    assert not found.release("p")
    with pytest.raises(Shortage, match="no healthy devices present"):
        _two(gone_at=1.0).available(GPU, 1, set())


def test_wishes_are_of_limits_init_containers_first() -> None:
    limits = {"limits": {GPU: "1", "cpu": "1"}}
    body = {"spec": {
        "containers": [{"name": "c", "resources": limits}],
        "initContainers": [
            {"name": "i", "resources": limits},
            {"name": "s", "resources": limits, "restartPolicy": "Always"},
        ],
    }}  # fmt: skip
    found = inventory.wishes(msgspec.convert(body, Pod), {GPU})
    assert [(item.container, item.number, item.is_passing) for item in found] == [
        ("i", 1, True), ("s", 1, False), ("c", 1, False),
    ]  # fmt: skip


@given(st.sets(st.text(min_size=1), min_size=1), st.data())
def test_what_is_left_behind_is_taken_first(ids: set[str], data: st.DataObject) -> None:
    reusable = data.draw(st.sets(st.sampled_from(sorted(ids))))
    number = data.draw(st.integers(1, len(ids)))
    chosen = inventory.prefer(sorted(ids - reusable), reusable, number)
    assert len(chosen) == len({*chosen}) == number
    assert reusable <= {*chosen} or {*chosen} <= reusable


def test_the_checkpoint_is_read_back_whole_or_not_at_all() -> None:
    kept = _two()
    kept.assigned[Owner("p", "c")] = (Assignment(GPU, ("a", "b"), b"\x01"),)
    text = checkpoint.encode(kept)
    again = checkpoint.decode(text, 5.0)
    assert again.assigned == kept.assigned
    assert again.offers[GPU].gone_at == 5.0
    assert checkpoint.decode(text.replace('"p"', '"q"'), 5.0).assigned == {}
    assert checkpoint.decode("", 5.0).offers == {}


def test_health_is_told_of_who_has_devices() -> None:
    found = _two()
    found.assigned[Owner("p", "c")] = (Assignment(GPU, ("a", "b", "z")),)
    status = {"containerStatuses": [{"name": "c"}, {"name": "d"}], "phase": "Running"}
    told = telling.tell(status, lambda name: found.health("p", name))
    entry, other = told["containerStatuses"]
    assert other == {"name": "d"}
    assert [item["health"] for item in entry["allocatedResourcesStatus"][0]["resources"]] == [
        "Healthy", "Unhealthy", "Unknown",
    ]  # fmt: skip
