"""APIServices of what a server offers: what is written, kept and taken away."""

from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.offered import MANAGED, offered, plan

NOW = "2026-11-21T17:00:00Z"


def _named(documents):
    return {each["metadata"]["name"]: each for each in documents}


def test_every_version_is_offered_once_and_nothing_is_left_to_do():
    wanted = list(offered(builtin_catalog()))
    made = _named(plan(wanted, {}, NOW).create)
    assert {"v1.", "v1.apps", "v2.autoscaling"} <= made.keys()
    assert "v1.apiregistration.k8s.io" not in made
    assert made["v1."]["spec"] == {
        "version": "v1", "groupPriorityMinimum": 18000, "versionPriority": 1,
    }  # fmt: skip
    todo = plan(wanted, made, NOW)
    assert (todo.create, todo.delete) == ([], [])
    judged = _named(todo.status)
    assert judged.keys() == made.keys()
    assert judged["v1.apps"]["status"]["conditions"][0]["reason"] == "Local"
    done = plan(wanted, judged, NOW)
    assert (done.create, done.delete, done.status) == ([], [], [])


def test_only_its_own_are_taken_away():
    wanted = [("example.com", "v1", False)]
    made = _named(plan(wanted, {}, NOW).create)
    assert made["v1.example.com"]["metadata"]["labels"] == {MANAGED: "true"}
    foreign = {"metadata": {"name": "v1.else"}, "spec": {"service": {"name": "s"}}}
    todo = plan([], {**made, "v1.else": foreign}, NOW)
    assert todo.delete == ["v1.example.com"]
    assert [each["metadata"]["name"] for each in todo.status] == ["v1.example.com"]
