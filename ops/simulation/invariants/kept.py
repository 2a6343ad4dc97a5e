"""What is kept for others when all has come to rest, and no more of it than was asked for."""

from collections.abc import Iterator

from pilothouse.ops.simulation.state import (
    Document,
    State,
    is_deleting,
    is_ready,
    is_true,
)
from pilothouse.services.machinery.objects import Key

LIVE_REVISIONS = 2
HISTORY_DEFAULT = 10
SERVICE = "kubernetes.io/service-name"
API_SERVER = Key("default", "kubernetes")
"""It writes its own endpoints, and none runs at these addresses."""
OF_EVERY_NAMESPACE = {"serviceaccounts": "default", "configmaps": "kube-root-ca.crt"}


def unkept(state: State) -> Iterator[str]:
    """What is there and should not be, or the other way round; a sentence each."""
    yield from _histories(state)
    yield from _cronjobs(state)
    yield from _claims(state)
    yield from _autoscalers(state)
    for key in state.all("namespaces"):
        for plural, name in OF_EVERY_NAMESPACE.items():
            if state.get(plural, Key(key.name, name)) is None:
                yield f"namespace {key.name} has no {plural} {name}"
    for key, job in state.all("jobs").items():
        over = is_true(job, "Complete") or is_true(job, "Failed")
        if over and job["spec"].get("ttlSecondsAfterFinished") is not None:
            yield f"Job {key} is over and was to go"
    for key, service in state.all("services").items():
        yield from _endpoints(state, key, service)


def _owned(state: State, plural: str, owner: Document) -> list[Document]:
    return list(state.owned(plural, owner["metadata"]["uid"]))


def _histories(state: State) -> Iterator[str]:
    for key, deployment in state.all("deployments").items():
        found = len(_owned(state, "replicasets", deployment))
        limit = deployment["spec"].get("revisionHistoryLimit", HISTORY_DEFAULT)
        if found > limit + 1 and not deployment["spec"].get("paused"):
            yield f"Deployment {key} keeps {found} ReplicaSets where {limit} old ones may be"
    for plural in ("statefulsets", "daemonsets"):
        for key, owner in state.all(plural).items():
            found = len(_owned(state, "controllerrevisions", owner))
            limit = owner["spec"].get("revisionHistoryLimit", HISTORY_DEFAULT)
            if found > limit + LIVE_REVISIONS:
                yield f"{plural} {key} keeps {found} revisions where {limit} old ones may be"


def _cronjobs(state: State) -> Iterator[str]:
    for key, cron in state.all("cronjobs").items():
        jobs = _owned(state, "jobs", cron)
        for end, limit in (
            ("Complete", cron["spec"]["successfulJobsHistoryLimit"]),
            ("Failed", cron["spec"]["failedJobsHistoryLimit"]),
        ):
            found = sum(is_true(job, end) for job in jobs)
            if found > limit:
                yield f"CronJob {key} keeps {found} Jobs that are {end}, {limit} may be"
        running = {
            job["metadata"]["uid"]
            for job in jobs
            if not is_true(job, "Complete") and not is_true(job, "Failed")
        }
        told = {item["uid"] for item in cron.get("status", {}).get("active", ())}
        if told != running:
            yield f"CronJob {key} tells {len(told)} running Jobs, {len(running)} do"


def _claims(state: State) -> Iterator[str]:
    """Spare ones may be there, whatever the policy: a pod that was away when the set shrank owns
    none, and who sees a claim without an owner later can not tell it from one that was put there.
    """
    for key, stateful in state.all("statefulsets").items():
        spec = stateful["spec"]
        start = spec.get("ordinals", {}).get("start", 0)
        ordinals = range(start, start + spec["replicas"])
        for template in spec.get("volumeClaimTemplates", ()):
            stem = f"{template['metadata']['name']}-{key.name}-"
            found = {
                place.name.removeprefix(stem)
                for place, claim in state.all("persistentvolumeclaims").items()
                if place.namespace == key.namespace
                and place.name.startswith(stem)
                and not is_deleting(claim)
            }
            wanted = {str(number) for number in ordinals}
            if wanted - found:
                yield f"StatefulSet {key} has no claims {sorted(wanted - found)}"


def _autoscalers(state: State) -> Iterator[str]:
    for key, autoscaler in state.all("horizontalpodautoscalers").items():
        spec = autoscaler["spec"]
        target = state.get("deployments", Key(key.namespace, spec["scaleTargetRef"]["name"]))
        size = target["spec"]["replicas"] if target is not None else 0
        if size and not spec["minReplicas"] <= size <= spec["maxReplicas"]:
            yield f"autoscaler {key} leaves {size} replicas"


def _endpoints(state: State, key: Key, service: Document) -> Iterator[str]:
    endpoints = state.get("endpoints", key)
    subsets = (endpoints or {}).get("subsets") or ()
    told = sorted(item["ip"] for part in subsets for item in part.get("addresses", ()))
    selector = service["spec"].get("selector")
    if selector:
        there = sorted(
            pod["status"]["podIP"]
            for place, pod in state.all("pods").items()
            if place.namespace == key.namespace
            and is_ready(pod)
            and selector.items() <= pod["metadata"].get("labels", {}).items()
        )
    elif key == API_SERVER:
        return
    else:
        there = sorted(
            address
            for place, found in state.all("endpointslices").items()
            if place.namespace == key.namespace
            and found["metadata"].get("labels", {}).get(SERVICE) == key.name
            for endpoint in found.get("endpoints") or ()
            for address in endpoint["addresses"]
        )
    if told != there:
        yield f"Endpoints {key} have {told}, not {there}"
