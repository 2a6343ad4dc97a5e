"""Jobs: what runs, what is tried again, when they have succeeded and when they have failed.

Those that take their time (a pause of ten seconds follows a failure) are begun together, before
the first test looks at any of them.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.cluster import Cluster
from kit.lifecycle import eventually
from kit.official import Official
from kit.syllabus import line

JOB = "apps/job.go"
FAILS_ODD = "exit $((JOB_COMPLETION_INDEX % 2))"
SLEEPS = "sleep 3600"
MARKED = "/data/marked"
INDEXED = {"completionMode": "Indexed", "backoffLimit": 6}


def job(name: str, command: str, *, pod: dict[str, Any] | None = None, **spec: Any) -> Any:
    container = {
        "name": "c",
        "image": "busybox",
        "command": ["sh", "-c", command],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    template = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}],
        **(pod or {}),
    }
    return {
        "metadata": {"name": name, "labels": {"job": name}},
        "spec": {"template": {"spec": template}, **spec},
    }


def on_exit(action: str, code: int) -> dict[str, Any]:
    rule = {"action": action, "onExitCodes": {"operator": "In", "values": [code]}}
    return {"podFailurePolicy": {"rules": [rule]}}


def succeeds(**rule: Any) -> dict[str, Any]:
    return {"successPolicy": {"rules": [rule]}, "completions": 5, "parallelism": 2, **INDEXED}


SLOW = (
    job("indexed", "echo $JOB_COMPLETION_INDEX $HOSTNAME", completions=4, parallelism=2, **INDEXED),
    job(
        "restarts",
        "test -f /data/done && exit 0; touch /data/done; exit 1",
        completions=3,
        parallelism=2,
        pod={"restartPolicy": "OnFailure"},
    ),
    job(
        "per-index",
        FAILS_ODD,
        completions=4,
        parallelism=4,
        completionMode="Indexed",
        backoffLimitPerIndex=1,
    ),
    job(
        "fails-index",
        FAILS_ODD,
        completions=4,
        parallelism=2,
        completionMode="Indexed",
        backoffLimitPerIndex=1,
        **on_exit("FailIndex", 1),
    ),
    job(
        "too-many",
        "exit 1",
        completions=6,
        parallelism=2,
        completionMode="Indexed",
        backoffLimitPerIndex=0,
        maxFailedIndexes=2,
    ),
    job("fails-early", "exit 42", completions=4, parallelism=2, **on_exit("FailJob", 42)),
    job("all-indexes", "true", **succeeds(succeededIndexes="0-4")),
    job(
        "one-index", f"test $JOB_COMPLETION_INDEX = 0 || {SLEEPS}", **succeeds(succeededIndexes="0")
    ),
    job("one-of-all", f"test $JOB_COMPLETION_INDEX = 0 || {SLEEPS}", **succeeds(succeededCount=1)),
)


class Jobs:
    """The Jobs of one namespace, and their pods."""

    def __init__(self, client: Official, namespace: str) -> None:
        self.client, self.namespace = client, namespace

    def create(self, body: Any) -> Any:
        return self.client.batch.create_namespaced_job(self.namespace, body)

    def read(self, name: str) -> Any:
        return self.client.batch.read_namespaced_job(name, self.namespace)

    def pods(self, name: str) -> list[Any]:
        selector = f"batch.kubernetes.io/job-name={name}"
        found = self.client.core.list_namespaced_pod(self.namespace, label_selector=selector)
        return found.items

    def running(self, name: str) -> int:
        return sum(pod.status.phase == "Running" for pod in self.pods(name))

    def conditions(self, name: str) -> dict[str, str]:
        told = self.read(name).status.conditions or ()
        return {one.type: one.reason for one in told if one.status == "True"}

    def ends(self, name: str, *conditions: str) -> Any:
        """Wait for these, each as ``Type:Reason``; the status then."""
        wanted = dict(one.split(":") for one in conditions)
        eventually(f"{name} is {wanted}", lambda: self.conditions(name) == wanted)
        return self.read(name).status


def evicted(marks: Path) -> Any:
    """A Job that sleeps, and ends well when it is begun anew; ``marks`` is a folder of its own."""
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    kept = {"path": str(marks), "type": "Directory"}
    return job(
        "evicted",
        f"test -f {MARKED} && exit 0; touch {MARKED}; {SLEEPS}",
        completions=1,
        backoffLimit=0,
        completionMode="Indexed",
        podFailurePolicy={"rules": [rule]},
        pod={"volumes": [{"name": "data", "hostPath": kept}]},
    )


def evict(found: Jobs, name: str) -> None:
    """The pod of a Job that has one."""
    eventually("one runs", lambda: found.running(name) == 1)
    (pod,) = found.pods(name)
    named = {"name": pod.metadata.name}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": named}
    path = f"/api/v1/namespaces/{found.namespace}/pods/{pod.metadata.name}/eviction"
    assert found.client.raw("POST", path, eviction).code == 201


@pytest.fixture(scope="module")
def slow(
    cluster: Cluster, client: Official, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Jobs]:
    """The Jobs of ``SLOW``, begun, and one whose pod was evicted."""
    name = f"conformance-{os.getpid()}-jobs"
    client.core.create_namespace({"metadata": {"name": name, "labels": {"conformance": "yes"}}})
    cluster.eventually(
        "the default account", lambda: cluster.try_get("serviceaccount", "default", "-n", name)
    )
    found = Jobs(client, name)
    marks = tmp_path_factory.mktemp("marks")
    for body in (evicted(marks), *SLOW):
        found.create(body)
    eventually("it has left its mark", (marks / Path(MARKED).name).exists)
    evict(found, "evicted")
    yield found
    client.core.delete_namespace(name, propagation_policy="Background")


@line(JOB, "delete a job")
def test_a_deleted_job_goes_after_its_pods(client: Official, namespace: str) -> None:
    found = Jobs(client, namespace)
    found.create(job("sleeps", SLEEPS, completions=4, parallelism=2))
    eventually("two run", lambda: found.running("sleeps") == 2)
    eventually(
        "it says so",
        lambda: (found.read("sleeps").status.ready, found.read("sleeps").status.active) == (2, 2),
    )
    client.batch.delete_namespaced_job("sleeps", namespace, propagation_policy="Foreground")
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs/sleeps"
    eventually("it is gone", lambda: client.raw("GET", path).code == 404)
    assert found.pods("sleeps") == []


def test_pods_of_a_job_deleted_without_a_word_stay_and_are_free(
    client: Official, namespace: str
) -> None:
    found = Jobs(client, namespace)
    found.create(job("left", SLEEPS, parallelism=2, pod={"nodeSelector": {"no": "such"}}))
    eventually("two are made", lambda: len(found.pods("left")) == 2)
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs/left"
    answer = client.raw("DELETE", path)
    assert "child pods are preserved by default" in answer.headers["Warning"]
    eventually("it is gone", lambda: client.raw("GET", path).code == 404)

    def held() -> list[Any]:
        kept = [pod.metadata for pod in found.pods("left")]
        return [one.name for one in kept if one.finalizers or one.owner_references]

    eventually("they are free", lambda: not held())
    assert len(found.pods("left")) == 2


def test_a_namespace_goes_with_its_jobs(cluster: Cluster, client: Official, namespace: str) -> None:
    """Each failed pod of an index is kept for its successor, which here can not come."""
    found = Jobs(client, namespace)
    per_index = {"completions": 2, "parallelism": 2, "completionMode": "Indexed"}
    found.create(job("per-index", SLEEPS, backoffLimitPerIndex=3, **per_index))
    found.create(job("waits", SLEEPS, podReplacementPolicy="Failed"))
    eventually("all run", lambda: found.running("per-index") + found.running("waits") == 3)
    client.core.delete_namespace(namespace, propagation_policy="Background")
    path = f"/api/v1/namespaces/{namespace}"
    cluster.eventually("it is gone", lambda: client.raw("GET", path).code == 404)
    client.core.create_namespace({"metadata": {"name": namespace}})


@line(JOB, "adopt orphans, release non-matching")
def test_pods_are_adopted_and_released_by_their_labels(client: Official, namespace: str) -> None:
    found = Jobs(client, namespace)
    made = found.create(job("owner", SLEEPS, completions=2, parallelism=2))
    eventually("two run", lambda: found.running("owner") == 2)
    pod = found.pods("owner")[0].metadata.name

    def owners() -> list[str]:
        read = client.core.read_namespaced_pod(pod, namespace)
        return [one.uid for one in read.metadata.owner_references or () if one.controller]

    client.core.patch_namespaced_pod(pod, namespace, {"metadata": {"ownerReferences": None}})
    eventually("it is adopted", lambda: owners() == [made.metadata.uid])
    labels = dict.fromkeys(client.core.read_namespaced_pod(pod, namespace).metadata.labels)
    client.core.patch_namespaced_pod(pod, namespace, {"metadata": {"labels": labels}})
    eventually("it is released", lambda: owners() == [])
    assert not client.core.read_namespaced_pod(pod, namespace).metadata.finalizers


@line(JOB, "manage lifecycle")
def test_the_life_of_a_job(client: Official, namespace: str) -> None:
    found = Jobs(client, namespace)
    batch = client.batch
    found.create(job("life", "true", suspend=True, parallelism=2, completions=2, backoffLimit=6))
    eventually("it rests", lambda: found.conditions("life") == {"Suspended": "JobSuspended"})
    assert found.pods("life") == []
    labelled = {"metadata": {"labels": {"life": "patched"}}}
    patched = batch.patch_namespaced_job("life", namespace, labelled)
    assert patched.metadata.labels["life"] == "patched"
    update_until_done(found, "life", wake)
    ended = found.ends(
        "life", "SuccessCriteriaMet:CompletionsReached", "Complete:CompletionsReached"
    )
    assert ended.succeeded == 2
    selector = "life=patched"
    everywhere = batch.list_job_for_all_namespaces(label_selector=selector).items
    assert [item.metadata.name for item in everywhere] == ["life"]
    batch.delete_collection_namespaced_job(
        namespace, label_selector=selector, propagation_policy="Background"
    )

    def left() -> list[Any]:
        return batch.list_namespaced_job(namespace, label_selector=selector).items

    eventually("none is left", lambda: not left())


def update_until_done(found: Jobs, name: str, change: Callable[[Any], None]) -> None:
    """Read, change, write: again when another wrote in between."""

    def written() -> bool:
        body = found.client.api.sanitize_for_serialization(found.read(name))
        change(body)
        path = f"/apis/batch/v1/namespaces/{found.namespace}/jobs/{name}"
        answer = found.client.raw("PUT", path, body)
        assert answer.code in (200, 409), answer.body
        return answer.code == 200

    eventually("it is updated", written)


def wake(body: Any) -> None:
    body["spec"]["suspend"] = False
    body["metadata"].setdefault("annotations", {})["updated"] = "true"


@line(JOB, "podFailurePolicy exit code fails job early")
def test_an_exit_code_fails_the_job(slow: Jobs) -> None:
    ended = slow.ends("fails-early", "FailureTarget:PodFailurePolicy", "Failed:PodFailurePolicy")
    assert ended.failed <= 2
    (condition,) = (one for one in ended.conditions if one.type == "Failed")
    assert "failed with exit code 42 matching FailJob rule at index 0" in condition.message


@line(JOB, "Indexed job")
def test_an_indexed_job_gives_each_pod_its_index(slow: Jobs, client: Official) -> None:
    ended = slow.ends(
        "indexed", "SuccessCriteriaMet:CompletionsReached", "Complete:CompletionsReached"
    )
    assert ended.completed_indexes == "0-3"
    pods = [pod for pod in slow.pods("indexed") if pod.status.phase == "Succeeded"]
    index = "batch.kubernetes.io/job-completion-index"
    assert sorted(pod.metadata.annotations[index] for pod in pods) == ["0", "1", "2", "3"]
    for pod in pods:
        number = pod.metadata.labels[index]
        assert pod.spec.hostname == f"indexed-{number}"
        assert pod.metadata.name.startswith(f"indexed-{number}-")
        said = client.core.read_namespaced_pod_log(pod.metadata.name, slow.namespace)
        assert said.split() == [number, f"indexed-{number}"]


@line(JOB, "FailIndex action")
def test_an_index_may_fail_at_once(slow: Jobs) -> None:
    ended = slow.ends("fails-index", "FailureTarget:FailedIndexes", "Failed:FailedIndexes")
    assert (ended.failed_indexes, ended.completed_indexes) == ("1,3", "0,2")
    assert (ended.failed, ended.succeeded) == (2, 2)


def span(part: str) -> range:
    """The indexes of ``3`` or ``0-2``."""
    first, _, last = part.partition("-")
    return range(int(first), int(last or first) + 1)


@line(JOB, "maxFailedIndexes")
def test_too_many_failed_indexes_end_the_job(slow: Jobs) -> None:
    reason = "MaxFailedIndexesExceeded"
    ended = slow.ends("too-many", f"FailureTarget:{reason}", f"Failed:{reason}")
    # Which of the four failed first is the nodes' affair; more than maxFailedIndexes did.
    failed = {number for part in ended.failed_indexes.split(",") for number in span(part)}
    assert len(failed) > 2
    assert failed <= set(range(4))


@pytest.mark.parametrize(
    ("name", "indexes"),
    [
        pytest.param("all-indexes", "0-4", marks=line(JOB, "successPolicy, all indexes")),
        pytest.param("one-index", "0", marks=line(JOB, "successPolicy succeededIndexes")),
        pytest.param("one-of-all", "0", marks=line(JOB, "successPolicy succeededCount")),
    ],
)
def test_success_may_come_early(slow: Jobs, name: str, indexes: str) -> None:
    ended = slow.ends(name, "SuccessCriteriaMet:SuccessPolicy", "Complete:SuccessPolicy")
    assert (ended.completed_indexes, ended.terminating or 0) == (indexes, 0)


@line(JOB, "tasks fail then locally restarted")
def test_containers_are_restarted_where_they_failed(slow: Jobs) -> None:
    ended = slow.ends(
        "restarts", "SuccessCriteriaMet:CompletionsReached", "Complete:CompletionsReached"
    )
    assert (ended.succeeded, ended.failed or 0) == (3, 0)
    assert all(pod.status.container_statuses[0].restart_count for pod in slow.pods("restarts"))


@line(JOB, "backoffLimitPerIndex")
def test_each_index_has_its_own_tries(slow: Jobs) -> None:
    ended = slow.ends("per-index", "FailureTarget:FailedIndexes", "Failed:FailedIndexes")
    assert (ended.failed_indexes, ended.completed_indexes) == ("1,3", "0,2")
    assert (ended.failed, ended.succeeded) == (4, 2)


@line(JOB, "podFailurePolicy ignore DisruptionTarget")
def test_an_eviction_does_not_count(slow: Jobs) -> None:
    ended = slow.ends(
        "evicted", "SuccessCriteriaMet:CompletionsReached", "Complete:CompletionsReached"
    )
    assert (ended.failed or 0, ended.succeeded) == (0, 1)
