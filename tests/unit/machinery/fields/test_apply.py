"""Who owns what after applies and updates, as structured-merge-diff has it."""

import pytest
from kit.things import THING

from pilothouse.services.machinery.fields import managers, validation
from pilothouse.services.machinery.fields.conflicts import Conflicts
from pilothouse.services.machinery.fields.managers import Owned, Owner
from pilothouse.services.machinery.fields.paths import Malformed
from pilothouse.services.machinery.fields.reconciling import reconciled


def test_an_apply_owns_what_it_mentions(world):
    world.apply("one", {"count": 1, "items": [{"name": "a", "value": "x"}], "labels": {"l": "1"}})
    assert world.owned("one")["Apply"] == {
        "f:spec": {
            "f:count": {},
            "f:items": {'k:{"name":"a"}': {".": {}, "f:name": {}, "f:value": {}}},
            "f:labels": {"f:l": {}},
        }
    }


def test_what_is_no_longer_applied_goes(world):
    world.apply("one", {"count": 1, "text": "x", "items": [{"name": "a"}, {"name": "b"}]})
    world.apply("one", {"count": 1, "items": [{"name": "b"}]})
    assert world.spec == {"count": 1, "items": [{"name": "b"}]}


def test_what_another_owns_stays(world):
    world.apply("one", {"items": [{"name": "a", "value": "x"}], "text": "t"})
    world.apply("two", {"items": [{"name": "a"}], "text": "t"})
    world.apply("one", {"count": 1})
    assert world.spec == {"items": [{"name": "a"}], "text": "t", "count": 1}
    assert "f:text" in world.owned("two")["Apply"]["f:spec"]


def test_what_an_update_set_stays(world):
    world.apply("one", {"count": 1, "labels": {"a": "1"}})
    world.update("two", {"count": 1, "labels": {"a": "1", "b": "2"}})
    world.apply("one", {"count": 1})
    assert world.spec == {"count": 1, "labels": {"b": "2"}}


def test_an_update_takes_what_it_changes(world):
    world.apply("one", {"count": 1, "text": "x"}).update("two", {"count": 2, "text": "x"})
    assert world.owned("one")["Apply"] == {"f:spec": {"f:text": {}}}
    assert world.owned("two")["Update"] == {"f:spec": {"f:count": {}}}


def test_a_conflict_names_the_field_and_its_owner(world):
    world.apply("one", {"count": 1}).update("two", {"count": 2})
    with pytest.raises(Conflicts) as found:
        world.apply("one", {"count": 3})
    assert found.value.message == (
        'Apply failed with 1 conflict: conflict with "two" using example.com/v1: .spec.count'
    )
    cause = found.value.causes()[0]
    assert (cause.reason, cause.field) == ("FieldManagerConflict", ".spec.count")
    assert cause.message == 'conflict with "two" using example.com/v1'


def test_conflicts_are_listed_by_manager(world):
    world.apply("b", {"count": 1, "text": "x"}).apply("a", {"on": True})
    with pytest.raises(Conflicts) as found:
        world.apply("c", {"count": 2, "text": "y", "on": False})
    assert found.value.message.splitlines() == [
        'Apply failed with 3 conflicts: conflicts with "a":',
        "- .spec.on",
        'conflicts with "b":',
        "- .spec.count",
        "- .spec.text",
    ]


def test_the_same_value_is_shared(world):
    world.apply("one", {"count": 1}).apply("two", {"count": 1})
    assert world.owned("one") == world.owned("two")


def test_force_takes_it(world):
    world.apply("one", {"count": 1}).apply("two", {"count": 2}, force=True)
    assert world.owned("one") == {}
    assert world.spec == {"count": 2}


def test_an_atomic_list_has_one_owner(world):
    world.apply("one", {"words": ["a", "b"]})
    assert world.owned("one")["Apply"] == {"f:spec": {"f:words": {}}}
    with pytest.raises(Conflicts):
        world.apply("two", {"words": ["a", "c"]})


def test_a_set_is_owned_by_its_values(world):
    world.apply("one", {"set": ["a", "b"]}).apply("two", {"set": ["b", "c"]})
    assert world.spec == {"set": ["a", "b", "c"]}
    world.apply("one", {"set": []})
    assert world.spec == {"set": ["b", "c"]}


def test_keys_that_are_left_out_have_their_default(world):
    world.apply("one", {"ports": [{"port": 80, "name": "x"}]})
    assert 'k:{"port":80,"protocol":"TCP"}' in world.owned("one")["Apply"]["f:spec"]["f:ports"]


def test_applying_the_same_again_changes_nothing(world):
    world.apply("one", {"count": 1, "items": [{"name": "a", "value": "x"}]})
    live, entries = world.live, world.entries()
    world.apply("one", {"items": [{"value": "x", "name": "a"}], "count": 1})
    assert world.live == live
    assert world.entries() == entries


def test_the_time_of_others_stays(world):
    world.apply("one", {"count": 1}).apply("two", {"text": "x"})
    before = world.entries()[0]
    world.apply("two", {"text": "y"})
    assert world.entries()[0] == before


def test_the_order_of_the_configuration_wins(world):
    world.update("one", {"items": [{"name": "a"}, {"name": "b"}, {"name": "c"}]})
    world.apply("two", {"items": [{"name": "c"}, {"name": "x"}, {"name": "a"}]})
    assert [item["name"] for item in world.spec["items"]] == ["b", "c", "x", "a"]


def test_another_version_keeps_its_claims(world):
    world.apply("one", {"count": 1, "text": "x"}, version="example.com/v1")
    world.apply("one", {"count": 1}, version="example.com/v2")
    assert world.spec == {"count": 1}
    assert [entry["apiVersion"] for entry in world.entries()] == ["example.com/v2"]


def test_a_version_that_is_gone_is_forgotten(world):
    world.apply("one", {"count": 1})
    gone = Owner("old", "Update", "example.com/v0")
    world.managed[gone] = Owned({"f:spec": {"f:text": {}}}, "example.com/v0")
    world.update("two", {"count": 2})
    assert gone not in world.managed


def test_duplicates_of_the_live_object_are_replaced(world):
    world.update("one", {"items": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]})
    assert world.owned("one")["Update"]["f:spec"]["f:items"]['k:{"name":"a"}'] == {}
    world.apply("two", {"items": [{"name": "a", "value": "3"}]}, force=True)
    assert world.spec == {"items": [{"name": "a", "value": "3"}]}


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"count": "x"}, ".spec.count: expected numeric (int or float), got string"),
        ({"what": 1}, ".spec.what: field not declared in schema"),
        ({"text": 1}, ".spec.text: expected string, got &value.valueUnstructured{Value:1}"),
        (
            {"items": [{"name": "a"}, {"name": "a"}]},
            '.spec.items: duplicate entries for key [name="a"]',
        ),
        ({"set": ["a", "a"]}, '.spec.set: duplicate entries for key [="a"]'),
        (
            {"items": [None]},
            ".spec.items: element 0: associative list with keys may not have a null element",
        ),
        ({"labels": 3}, ".spec.labels: expected map, got 3"),
    ],
)
def test_a_configuration_that_does_not_fit(spec, told):
    assert validation.errors(THING, {"spec": spec}) == [told]


def test_many_updaters_are_folded(world):
    world.update("first", {"labels": {"start": "0"}})
    labels = {"start": "0"}
    for number in range(12):
        labels = {**labels, f"l{number}": "x"}
        world.update(f"updater-{number:02d}", {"labels": labels})
        world.managed = managers.capped(world.managed)
    names = [entry["manager"] for entry in world.entries()]
    assert len(names) == managers.UPDATERS_MAX
    assert names[0] == managers.ANCIENT
    assert "updater-11" in names
    owned = world.owned(managers.ANCIENT)["Update"]["f:spec"]["f:labels"]
    assert {"f:start", "f:l0", "f:l1"} <= owned.keys()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"operation": "Take"}, "operation must be `Apply` or `Update`"),
        ({"apiVersion": ""}, "apiVersion must not be empty"),
        ({"fieldsType": ""}, "missing fieldsType in managed fields entry 0"),
        ({"fieldsType": "V2"}, 'invalid fieldsType "V2" in managed fields entry 0'),
        ({"fieldsV1": {"spec": {}}}, "missing colon: spec"),
    ],
)
def test_entries_from_outside_are_checked(change, told):
    entry = {"operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}
    assert managers.given([entry])
    with pytest.raises(Malformed, match=told.replace("`", ".")):
        managers.given([{**entry, **change}])


def test_what_has_become_atomic_is_owned_as_one():
    before = {
        "f:spec": {
            "f:words": {".": {}, 'v:"a"': {}},
            "f:selector": {"f:x": {}},
            "f:labels": {"f:x": {}},
            "f:free": {"f:any": {"f:x": {}}},
        }
    }
    assert reconciled(THING, before) == {
        "f:spec": {
            "f:words": {},
            "f:selector": {},
            "f:labels": {"f:x": {}},
            "f:free": {"f:any": {"f:x": {}}},
        }
    }
    unchanged = {"f:spec": {"f:count": {}, "f:words": {}, "f:items": {'k:{"name":"a"}': {}}}}
    assert reconciled(THING, unchanged) is unchanged
