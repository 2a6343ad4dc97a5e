"""Merge, strategic and JSON patches: known cases, and the rules they keep."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.apiserver.kinds.schemas import published_schemas
from pilothouse.services.machinery.patch import jsonpatch, ordering, strategic
from pilothouse.services.machinery.patch.merge import merge
from pilothouse.services.machinery.schema.shape import Shapes

POD = "io.k8s.api.core.v1.Pod"
DEPLOYMENT = "io.k8s.api.apps.v1.Deployment"
SHAPES = Shapes(published_schemas().definition)

names = st.sampled_from(["a", "b", "c", "d"])
scalars = st.one_of(st.booleans(), st.integers(-3, 3), st.text("xy", max_size=2))
values: Any = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=8,
)
documents = st.dictionaries(names, values, max_size=4)


def apply(document, patch, definition=POD):
    before, given = copy.deepcopy(document), copy.deepcopy(patch)
    result = strategic.apply(SHAPES, definition, document, patch)
    assert document == before, "the document was changed"
    assert patch == given, "the patch was changed"
    return result


def difference(old, new):
    """The merge patch that leads from ``old`` to ``new``."""
    patch = {name: None for name in old if name not in new}
    for name, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(name), dict):
            patch[name] = difference(old[name], value)
        elif name not in old or not jsonpatch.same(old[name], value):
            patch[name] = value
    return patch


@given(documents, documents)
def test_merge_of_the_difference_gives_the_new_document(old, new):
    assert merge(old, difference(old, new)) == new


@given(documents, documents)
def test_merging_twice_is_merging_once(old, patch):
    once = merge(old, patch)
    assert merge(once, patch) == once


@given(documents, documents)
def test_without_lists_to_merge_strategic_is_merge(old, new):
    document, patch = {"data": old}, {"data": difference(old, new)}
    assert strategic.apply(SHAPES, "", document, patch)["data"] == new


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_as_the_rfc_shows_it(document, patch, result):
    assert merge(document, patch) == result


def containers(*items):
    return {"spec": {"containers": list(items)}}


def test_containers_merge_by_name():
    document = containers({"name": "a", "image": "one"}, {"name": "b", "image": "two"})
    patched = apply(document, containers({"name": "b", "image": "three"}))
    assert patched == containers({"name": "a", "image": "one"}, {"name": "b", "image": "three"})


def test_a_new_element_is_added_without_nulls():
    patched = apply(containers({"name": "a"}), containers({"name": "n", "command": None}))
    assert patched == containers({"name": "a"}, {"name": "n"})


def test_an_element_is_deleted_by_its_key():
    document = containers({"name": "a"}, {"name": "b"})
    patched = apply(document, containers({"name": "a", "$patch": "delete"}))
    assert patched == containers({"name": "b"})


def test_a_list_is_replaced_by_its_marker():
    document = containers({"name": "a"}, {"name": "b"})
    patched = apply(document, containers({"$patch": "replace"}, {"name": "z"}))
    assert patched == containers({"name": "z"})


def test_a_map_is_replaced_or_emptied_by_its_marker():
    document = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    replaced = apply(document, {"metadata": {"labels": {"$patch": "replace", "c": "3"}}})
    assert replaced == {"metadata": {"labels": {"c": "3"}}}
    emptied = apply(document, {"metadata": {"labels": {"$patch": "delete"}}})
    assert emptied == {"metadata": {"labels": {}}}


def test_nested_lists_merge_by_their_own_keys():
    document = containers({"name": "a", "env": [{"name": "X", "value": "1"}]})
    patch = containers({"name": "a", "env": [{"name": "Y", "value": "2"}]})
    assert apply(document, patch)["spec"]["containers"][0]["env"] == [
        {"name": "X", "value": "1"},
        {"name": "Y", "value": "2"},
    ]


def test_lists_without_a_key_are_replaced_and_sets_are_united():
    document = containers({"name": "a", "args": ["1", "2"]})
    assert apply(document, containers({"name": "a", "args": ["3"]})) == containers(
        {"name": "a", "args": ["3"]}
    )
    finalizers = {"metadata": {"finalizers": ["a", "b"]}}
    united = apply(finalizers, {"metadata": {"finalizers": ["b", "c"]}})
    assert united == {"metadata": {"finalizers": ["a", "b", "c"]}}


def test_elements_leave_a_set_by_directive():
    document = {"metadata": {"finalizers": ["a", "b", "c"]}}
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"], "finalizers": ["d"]}}
    assert apply(document, patch) == {"metadata": {"finalizers": ["a", "c", "d"]}}


def test_the_order_that_the_client_sets():
    document = containers({"name": "a"}, {"name": "b"}, {"name": "c"})
    order = [{"name": "c"}, {"name": "a"}, {"name": "b"}]
    patch = {"spec": {"$setElementOrder/containers": order, "containers": []}}
    patched = apply(document, patch)["spec"]["containers"]
    assert [item["name"] for item in patched] == ["c", "a", "b"]


def test_what_only_the_server_has_stays_near_its_place():
    document = containers({"name": "a"}, {"name": "injected"}, {"name": "b"})
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
            "containers": [{"name": "b", "image": "new"}],
        }
    }
    patched = apply(document, patch)["spec"]["containers"]
    assert [item["name"] for item in patched] == ["a", "injected", "b"]


def test_retained_keys_drop_the_others():
    document = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert apply(document, patch, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_null_removes_and_is_passed_over_where_nothing_is():
    document = {"spec": {"nodeName": "n", "volumes": [{"name": "v", "emptyDir": {}}]}}
    patch = {"spec": {"nodeName": None, "hostname": None}}
    assert apply(document, patch) == {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"containers": [{"image": "x"}]}},
        {"spec": {"$patch": "mangle"}},
        {"spec": {"$whatever": 1}},
        {"spec": {"$setElementOrder/containers": "a"}},
        {"spec": {"$deleteFromPrimitiveList/containers": "a"}},
        {"spec": {"$retainKeys": ["nodeName"], "hostname": "x"}},
    ],
)
def test_a_malformed_strategic_patch_is_refused(patch):
    with pytest.raises(strategic.Malformed):
        apply(containers({"name": "a"}), patch)


named = st.lists(st.sampled_from("abcdef"), unique=True, max_size=5)


@given(named, named, named)
def test_arranged_items_keep_both_orders(items, wanted, live):
    arranged = ordering.arrange(items, lambda item: item, wanted, live)
    assert sorted(arranged) == sorted(items)
    asked = [item for item in arranged if item in wanted]
    assert asked == [item for item in wanted if item in items]
    others = [item for item in arranged if item not in wanted and item in live]
    assert others == [item for item in live if item in items and item not in wanted]


@given(named, named)
def test_a_strategic_patch_of_elements_is_idempotent(old, new):
    document = containers(*({"name": name, "image": "old"} for name in old))
    patch = containers(*({"name": name, "image": "new"} for name in new))
    once = strategic.apply(SHAPES, POD, document, patch)
    assert strategic.apply(SHAPES, POD, once, patch) == once
    found = {item["name"]: item["image"] for item in once["spec"]["containers"]}
    assert found == {name: "new" if name in new else "old" for name in {*old, *new}}


elements = st.dictionaries(
    st.sampled_from("abcd"),
    st.dictionaries(st.sampled_from(["image", "workingDir"]), st.sampled_from("xyz")),
)


@given(elements, elements)
def test_the_strategic_difference_gives_the_new_elements(old, new):
    """What ``kubectl apply`` sends: deletions and changes by key, and the order."""
    gone = [{"name": name, "$patch": "delete"} for name in old if name not in new]
    changed = [
        {"name": name, **difference(old.get(name, {}), item)}
        for name, item in new.items()
        if old.get(name) != item
    ]
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": name} for name in new],
            "containers": gone + changed,
        }
    }
    before = containers(*({"name": name, **item} for name, item in old.items()))
    after = containers(*({"name": name, **item} for name, item in new.items()))
    assert apply(before, patch) == after


@pytest.mark.parametrize(
    ("document", "operations", "result"),
    [
        ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
        ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
        ({"a": 1, "b": 2}, [{"op": "remove", "path": "/a"}], {"b": 2}),
        ({"a": [1, 2]}, [{"op": "remove", "path": "/a/0"}], {"a": [2]}),
        ({"a": {"b": 1}}, [{"op": "replace", "path": "/a/b", "value": 2}], {"a": {"b": 2}}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {"z": 1}}], {"z": 1}),
        ({"a": 1}, [{"op": "move", "from": "/a", "path": "/b"}], {"b": 1}),
        ({"a": [1, 2, 3]}, [{"op": "move", "from": "/a/0", "path": "/a/2"}], {"a": [2, 3, 1]}),
        ({"a": {"x": 1}}, [{"op": "copy", "from": "/a", "path": "/b"}],
         {"a": {"x": 1}, "b": {"x": 1}}),
        ({"a~b/c": 1}, [{"op": "replace", "path": "/a~0b~1c", "value": 2}], {"a~b/c": 2}),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 1.0}], {"a": 1}),
        ({"a": 1}, [{"op": "test", "path": "/b", "value": None}], {"a": 1}),
    ],
)  # fmt: skip
def test_json_patch_operations(document, operations, result):
    before = copy.deepcopy(document)
    assert jsonpatch.apply(document, operations) == result
    assert document == before


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ({"op": "remove", "path": "/zz"}, jsonpatch.Impossible),
        ({"op": "replace", "path": "/zz", "value": 1}, jsonpatch.Impossible),
        ({"op": "add", "path": "/zz/a", "value": 1}, jsonpatch.Impossible),
        ({"op": "add", "path": "/l/9", "value": 1}, jsonpatch.Impossible),
        ({"op": "add", "path": "/l/01", "value": 1}, jsonpatch.Impossible),
        ({"op": "remove", "path": "/l/-"}, jsonpatch.Impossible),
        ({"op": "test", "path": "/a", "value": True}, jsonpatch.Impossible),
        ({"op": "move", "from": "/o", "path": "/o/x"}, jsonpatch.Impossible),
        ({"op": "add", "path": "/a/b/c", "value": 1}, jsonpatch.Impossible),
        ({"op": "frobnicate", "path": "/a"}, jsonpatch.Impossible),
        ({"op": "add", "path": "/a"}, jsonpatch.Malformed),
        ({"op": "add", "value": 1}, jsonpatch.Malformed),
        ({"op": "add", "path": "a", "value": 1}, jsonpatch.Malformed),
        ({"op": ["add"], "path": "/a", "value": 1}, jsonpatch.Impossible),
        ("remove", jsonpatch.Malformed),
    ],
)
def test_json_patch_refusals(operation, error):
    with pytest.raises(error):
        jsonpatch.apply({"a": 1, "l": [1], "o": {}}, [operation])


def steps(old, new, path=""):
    """The JSON patch that leads from ``old`` to ``new``."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [name for name in old if name not in new]:
            yield {"op": "remove", "path": f"{path}/{name}"}
        for name, value in new.items():
            if name in old:
                yield from steps(old[name], value, f"{path}/{name}")
            else:
                yield {"op": "add", "path": f"{path}/{name}", "value": value}
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(min(len(old), len(new))):
            yield from steps(old[index], new[index], f"{path}/{index}")
        for index in reversed(range(len(new), len(old))):
            yield {"op": "remove", "path": f"{path}/{index}"}
        for value in new[len(old) :]:
            yield {"op": "add", "path": f"{path}/-", "value": value}
    elif not jsonpatch.same(old, new):
        yield {"op": "test", "path": path, "value": old}
        yield {"op": "replace", "path": path, "value": new}


@given(values, values)
def test_the_steps_between_two_documents_lead_there(old, new):
    assert jsonpatch.same(jsonpatch.apply(old, list(steps(old, new))), new)


def test_copies_of_copies_do_not_grow_without_bound():
    doubling = [{"op": "copy", "from": "", "path": f"/{number}"} for number in range(40)]
    with pytest.raises(jsonpatch.Impossible, match="exceeding the limit"):
        jsonpatch.apply({"a": "x"}, doubling)


def test_a_failed_test_leaves_nothing_done():
    document = {"a": 1}
    operations = [
        {"op": "add", "path": "/b", "value": 1},
        {"op": "test", "path": "/a", "value": 2},
    ]
    with pytest.raises(jsonpatch.Impossible):
        jsonpatch.apply(document, operations)
    assert document == {"a": 1}


@given(documents, names, values)
def test_add_then_remove_is_nothing(document, name, value):
    document.pop(name, None)
    path = f"/{name}"
    operations = [{"op": "add", "path": path, "value": value}, {"op": "remove", "path": path}]
    assert jsonpatch.apply(document, operations) == document
