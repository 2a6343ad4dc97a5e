"""What subresources change, and what they refuse: guests, resources, approval, budgets."""

import copy

import pytest

from pilothouse.services.apiserver.objects import budgets
from pilothouse.services.apiserver.strategies import parts
from pilothouse.services.apiserver.strategies.govern import approval
from pilothouse.services.apiserver.strategies.pod import pod_parts
from pilothouse.services.machinery.errors import Forbidden, TooManyRequests

NOW = 1_900_000_000.0


def pod(*containers, **spec):
    spec = {"containers": list(containers) or [container("a")], **spec}
    return {"metadata": {"name": "p", "labels": {"app": "web"}}, "spec": spec}


def container(name, requests=None, limits=None, **more):
    resources = {"requests": requests or {}, "limits": limits or {}}
    return {"name": name, "image": "i", "resources": resources, **more}


def told(causes):
    return [f"{cause.field}: {cause.message}".strip() for cause in causes]


def resized(new, old):
    wanted = pod_parts.take_resize(new, old)
    return wanted, told(pod_parts.check_resize(wanted, old))


def test_a_resize_takes_resources_alone():
    old = pod(container("a", {"cpu": "1"}), nodeName="n")
    new = pod(container("a", {"cpu": "2"}, image="other"), nodeName="m")
    wanted, wrong = resized(new, old)
    assert wrong == []
    assert wanted["spec"]["nodeName"] == "n"
    assert wanted["spec"]["containers"][0]["image"] == "i"
    assert wanted["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "2"}


def test_a_resize_keeps_to_its_rules():
    old = pod(container("a", {"cpu": "1"}, {"cpu": "2"}))
    guaranteed = {"cpu": "1", "memory": "1Mi"}
    cases = [
        (pod(container("a", guaranteed, guaranteed)), "Pod QOS Class may not change"),
        (pod(container("a", {"cpu": "1"})), "resource limits cannot be removed"),
        (pod(container("b", {"cpu": "1"}, {"cpu": "2"})), "may not be renamed or reordered"),
        (pod(container("a"), container("b")), "may not be added or removed"),
        (
            pod(container("a", {"cpu": "1", "x.io/y": "1"}, {"cpu": "2", "x.io/y": "1"})),
            "only cpu and memory resources are mutable",
        ),
    ]
    for new, words in cases:
        assert any(words in each for each in resized(new, old)[1]), words
    init = [container("i", {"cpu": "1"})]
    more = [container("i", {"cpu": "2"})]
    wrong = resized(pod(container("a"), initContainers=more), pod(initContainers=init))[1]
    assert wrong == ["spec: Forbidden: resources for non-sidecar init containers are immutable"]


def test_guests_are_only_added():
    one, two = container("one"), container("two")
    old = pod(ephemeralContainers=[one])
    new = pod_parts.take_ephemeral(pod(nodeName="x", ephemeralContainers=[one, two]), old)
    assert new == pod(ephemeralContainers=[one, two])
    assert pod_parts.check_ephemeral(new, old) == []
    gone = pod_parts.take_ephemeral(pod(), old)
    assert 'containers "one" may not be removed' in told(pod_parts.check_ephemeral(gone, old))[0]
    other = pod_parts.take_ephemeral(pod(ephemeralContainers=[{**one, "image": "x"}]), old)
    assert 'containers "one" may not be changed' in told(pod_parts.check_ephemeral(other, old))[0]


def test_parts_are_found_by_kind():
    assert parts.of("", "Pod", "resize") is not None
    assert parts.of("", "Pod", "") is None
    assert parts.of("apps", "Deployment", "status") is None


def csr(*types, certificate=""):
    conditions = [{"type": type_, "status": "True"} for type_ in types]
    return {
        "metadata": {"name": "c"},
        "status": {"conditions": conditions, "certificate": certificate},
    }


def test_decisions_are_taken_once_and_apart_from_certificates():
    decided = approval.take(csr("Approved", certificate="forged"), csr(certificate="real"))
    assert decided["status"]["certificate"] == "real"
    assert approval.check(decided, csr()) == []
    assert "mutually exclusive" in told(approval.check(csr("Approved", "Denied"), csr()))[0]
    assert "may not remove" in told(approval.check(csr(), csr("Approved")))[0]
    signed = approval.take_status(csr("Denied", certificate="new"), csr("Approved"))
    assert [item["type"] for item in signed["status"]["conditions"]] == ["Approved"]
    again = csr("Approved", certificate="other")
    assert told(approval.check_status(again, csr("Approved", certificate="new")))


def budget(allowed=1, *, observed=2, disrupted=(), **spec):
    return {
        "metadata": {"name": "b", "generation": 2},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
        "status": {
            "observedGeneration": observed,
            "disruptionsAllowed": allowed,
            "disruptedPods": dict.fromkeys(disrupted, "2030-01-01T00:00:00Z"),
            "desiredHealthy": 2,
            "currentHealthy": 2,
        },
    }


def test_a_budget_gives_what_it_has():
    after = budgets.taken(budget(1), "p", NOW)["status"]
    assert (after["disruptionsAllowed"], list(after["disruptedPods"])) == (0, ["p"])
    assert after["conditions"][0]["reason"] == "InsufficientPods"
    assert "conditions" not in budgets.taken(budget(2), "p", NOW)["status"]


def test_a_budget_refuses():
    with pytest.raises(TooManyRequests) as empty:
        budgets.taken(budget(0), "p", NOW)
    assert empty.value.causes[0].message == (
        "The disruption budget b needs 2 healthy pods and has 2 currently"
    )
    with pytest.raises(TooManyRequests) as behind:
        budgets.taken(budget(1, observed=1), "p", NOW)
    assert behind.value.retry_after_seconds == 10
    with pytest.raises(Forbidden):
        budgets.taken(budget(1, disrupted=map(str, range(2001))), "p", NOW)


def test_who_counts_for_a_budget():
    assert budgets.selects(budget(), pod())
    assert budgets.selects(budget(selector={}), pod())
    assert not budgets.selects(budget(selector=None), pod())
    assert budgets.needs_none({**pod(), "status": {"phase": "Pending"}})
    assert not budgets.needs_none({**pod(), "status": {"phase": "Running"}})
    assert budgets.lets_unready_go(budget())
    assert not budgets.lets_unready_go({**budget(), "status": {"desiredHealthy": 1}})
    assert budgets.lets_unready_go(
        {**budget(unhealthyPodEvictionPolicy="AlwaysAllow"), "status": {}}
    )


MARKS = {"labels": {"a": "1"}, "annotations": {"b": "2"}, "finalizers": ["x.y/z"]}


async def marked(client, kind, name):
    """What of the marks a write of the status leaves behind."""
    body = await client.get(kind, name)
    body["metadata"] |= copy.deepcopy(MARKS)
    body["status"] = body.get("status") or {}
    await client.update(kind, name, body, sub="status")
    after = (await client.get(kind, name))["metadata"]
    return {field for field, value in MARKS.items() if after.get(field) == value}


async def test_metadata_written_beside_a_status(client):
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    await client.create("apps/deployments", {"metadata": {"name": "d"}, "spec": spec})
    await client.create("apps/replicasets", {"metadata": {"name": "r"}, "spec": spec})
    flow = {"priorityLevelConfiguration": {"name": "x"}}
    schemas = "flowcontrol.apiserver.k8s.io/flowschemas"
    await client.create(schemas, {"metadata": {"name": "f"}, "spec": flow})
    assert await marked(client, "apps/replicasets", "r") == {*MARKS}
    assert await marked(client, "apps/deployments", "d") == {"annotations", "finalizers"}
    assert await marked(client, schemas, "f") == set()
