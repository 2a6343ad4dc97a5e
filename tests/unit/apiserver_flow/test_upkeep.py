"""What is kept as it ships, and which schemas dangle."""

import copy

from pilothouse.services.apiserver.flow.standard import (
    AUTO_UPDATE,
    level_documents,
    schema_documents,
)
from pilothouse.services.apiserver.flow.upkeep import plan_conditions, plan_specs


def present(documents):
    return {each["metadata"]["name"]: copy.deepcopy(each) for each in documents}


def test_all_are_created_and_then_nothing_is_to_do():
    assert len(plan_specs({}, schema_documents()).create) == 11
    assert len(plan_specs({}, level_documents()).create) == 8
    done = plan_specs(present(level_documents()), level_documents())
    assert not done.create
    assert not done.update


def test_a_suggested_one_is_the_users_once_it_says_so():
    found = present(level_documents())
    found["system"]["spec"]["limited"]["nominalConcurrencyShares"] = 77
    assert [each["metadata"]["name"] for each in plan_specs(found, level_documents()).update] == [
        "system"
    ]
    found["system"]["metadata"]["annotations"][AUTO_UPDATE] = "false"
    assert not plan_specs(found, level_documents()).update


def test_without_a_word_the_generation_tells_whose_it_is():
    found = present(level_documents())
    found["system"]["metadata"] |= {"annotations": {}, "generation": 2}
    (update,) = plan_specs(found, level_documents()).update
    assert update["metadata"]["annotations"] == {AUTO_UPDATE: "false"}


def test_a_mandatory_one_is_always_ours():
    found = present(level_documents())
    found["catch-all"]["metadata"]["annotations"] = {AUTO_UPDATE: "false", "other": "kept"}
    (update,) = plan_specs(found, level_documents()).update
    assert update["metadata"]["annotations"] == {AUTO_UPDATE: "true", "other": "kept"}


def test_dangling_follows_the_level():
    schema = schema_documents()[0]
    level = schema["spec"]["priorityLevelConfiguration"]["name"]
    (told,) = plan_conditions([schema], [level], "then").status
    assert told["status"]["conditions"] == [
        {
            "type": "Dangling",
            "status": "False",
            "reason": "Found",
            "message": "This FlowSchema references the PriorityLevelConfiguration object named "
            f'"{level}" and it exists',
            "lastTransitionTime": "then",
        }
    ]
    assert not plan_conditions([told], [level], "later").status
    (gone,) = plan_conditions([told], [], "later").status
    assert gone["status"]["conditions"][0]["status"] == "True"
    assert gone["status"]["conditions"][0]["lastTransitionTime"] == "later"
