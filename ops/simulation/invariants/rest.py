"""When everything is well again and time has passed: all is as its owner declared it."""

from collections.abc import Callable, Iterator, Mapping

from pilothouse.ops.simulation.state import (
    Document,
    State,
    controller,
    is_active,
    is_deleting,
    is_ready,
    is_true,
)
from pilothouse.services.machinery.objects import Key


def unfinished(state: State) -> Iterator[str]:
    """What is not as it should be, a sentence each."""
    yield from _leftovers(state)
    for plural, check in _CHECKS.items():
        for key, document in sorted(state.all(plural).items()):
            for sentence in check(state, document):
                yield f"{document['kind']} {key}: {sentence}"


def _leftovers(state: State) -> Iterator[str]:
    living = {
        document["metadata"]["uid"]
        for known in state.objects.values()
        for document in known.values()
    }
    namespaces = {key.name for key in state.all("namespaces")}
    for plural, known in sorted(state.objects.items()):
        if plural in {"events", "leases"}:
            continue
        for key, document in sorted(known.items()):
            metadata = document["metadata"]
            owners = metadata.get("ownerReferences", ())
            if is_deleting(document):
                yield f"{plural} {key} was to go and is still there"
            if owners and not any(owner["uid"] in living for owner in owners):
                yield f"{plural} {key} has outlived its owners"
            if key.namespace and key.namespace not in namespaces:
                yield f"{plural} {key} has outlived its namespace"


def _status(document: Document, **wanted: int) -> Iterator[str]:
    status = document.get("status", {})
    for name, number in wanted.items():
        found = status.get(name, 0)
        if found != number:
            yield f"status.{name} is {found} and should be {number}"
    if status.get("observedGeneration", 0) != document["metadata"].get("generation", 0):
        yield "the newest generation was not looked at"


def _own_pods(state: State, owner: Document) -> list[Document]:
    return [pod for pod in state.owned("pods", owner["metadata"]["uid"]) if is_active(pod)]


def _deployment(state: State, deployment: Document) -> Iterator[str]:
    wanted = deployment["spec"]["replicas"]
    if deployment["spec"].get("paused"):
        return
    yield from _status(
        deployment,
        replicas=wanted,
        updatedReplicas=wanted,
        readyReplicas=wanted,
        availableReplicas=wanted,
    )
    sizes = sorted(
        item["spec"]["replicas"]
        for item in state.owned("replicasets", deployment["metadata"]["uid"])
    )
    if sum(sizes) != wanted or (wanted and sizes[-1] != wanted):
        yield f"its ReplicaSets have sizes {sizes}"


def _replicaset(state: State, replicaset: Document) -> Iterator[str]:
    wanted = replicaset["spec"]["replicas"]
    pods = _own_pods(state, replicaset)
    yield from _status(replicaset, replicas=len(pods), readyReplicas=sum(map(is_ready, pods)))
    if len(pods) != wanted and not _is_limited(state, replicaset):
        yield f"it has {len(pods)} pods and should have {wanted}"


def _is_limited(state: State, document: Document) -> bool:
    namespace = document["metadata"]["namespace"]
    return any(key.namespace == namespace for key in state.all("resourcequotas"))


def _statefulset(state: State, stateful: Document) -> Iterator[str]:
    spec, wanted = stateful["spec"], stateful["spec"]["replicas"]
    start = spec.get("ordinals", {}).get("start", 0)
    yield from _status(stateful, replicas=wanted, readyReplicas=wanted, availableReplicas=wanted)
    name = stateful["metadata"]["name"]
    names = sorted(pod["metadata"]["name"] for pod in _own_pods(state, stateful))
    if names != sorted(f"{name}-{number}" for number in range(start, start + wanted)):
        yield f"its pods are {names}, {wanted} from {start} on should be"
    strategy = spec["updateStrategy"]
    partition = strategy.get("rollingUpdate", {}).get("partition", 0)
    if strategy["type"] == "RollingUpdate" and not partition and wanted:
        yield from _status(stateful, updatedReplicas=wanted)
        status = stateful["status"]
        if status.get("currentRevision") != status.get("updateRevision"):
            yield "its update is not over"


def _claim(state: State, claim: Document) -> Iterator[str]:
    phase, name = claim["status"].get("phase"), claim["spec"].get("volumeName", "")
    volume = state.get("persistentvolumes", Key("", name))
    if phase != "Bound" or volume is None:
        yield f"it is {phase} and not bound, to {name!r}"
    elif volume["spec"].get("claimRef", {}).get("uid") != claim["metadata"]["uid"]:
        yield f"{name} is another claim's too"


def _volume(state: State, volume: Document) -> Iterator[str]:
    if volume["status"].get("phase") != "Bound":
        yield f"it is left over, {volume['status'].get('phase')}"


def _daemonset(state: State, daemons: Document) -> Iterator[str]:
    nodes = len(state.all("nodes"))
    yield from _status(
        daemons,
        desiredNumberScheduled=nodes,
        currentNumberScheduled=nodes,
        numberReady=nodes,
        numberAvailable=nodes,
    )
    if daemons["spec"]["updateStrategy"]["type"] == "RollingUpdate":
        yield from _status(daemons, updatedNumberScheduled=nodes)
    places = sorted(pod["spec"].get("nodeName", "") for pod in _own_pods(state, daemons))
    if places != sorted(key.name for key in state.all("nodes")):
        yield f"its pods are on {places}"


def _job(state: State, job: Document) -> Iterator[str]:
    over = is_true(job, "Complete") or is_true(job, "Failed")
    if not over and not job["spec"].get("suspend"):
        yield f"it is not over: {job.get('status')}"
    status = job.get("status", {})
    if _own_pods(state, job) or status.get("active"):
        yield f"pods of it run: {status}"
    counted = status.get("uncountedTerminatedPods") or {}
    if any(counted.values()):
        yield f"pods of it are not counted: {counted}"
    completions = job["spec"].get("completions")
    whole = is_true(job, "Complete") and completions and not job["spec"].get("successPolicy")
    if whole and status.get("succeeded", 0) != completions:
        yield f"it is complete with {status}"


def _budget(state: State, budget: Document) -> Iterator[str]:
    labels = budget["spec"]["selector"]["matchLabels"]
    namespace = budget["metadata"]["namespace"]
    healthy = sum(
        1
        for key, pod in state.all("pods").items()
        if key.namespace == namespace
        and is_ready(pod)
        and labels.items() <= pod["metadata"].get("labels", {}).items()
    )
    yield from _status(budget, currentHealthy=healthy)


def _quota(state: State, quota: Document) -> Iterator[str]:
    namespace = quota["metadata"]["namespace"]
    for name, used in quota.get("status", {}).get("used", {}).items():
        if name in {"pods", "configmaps"}:
            there = [
                item
                for key, item in state.all(name).items()
                if key.namespace == namespace and (name != "pods" or _counts(item))
            ]
            if int(used) != len(there):
                yield f"{used} {name} are used, {len(there)} there are"


def _counts(pod: Document) -> bool:
    return pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}


def _pod(_: State, pod: Document) -> Iterator[str]:
    if controller(pod) is None:
        return
    if is_active(pod) and not is_ready(pod):
        yield f"it is not ready on {pod['spec'].get('nodeName')}: {pod.get('status')}"


def _node(_: State, node: Document) -> Iterator[str]:
    if not is_true(node, "Ready") or node["spec"].get("taints"):
        yield f"it is not open: {node['spec']}"


Check = Callable[[State, Document], Iterator[str]]
_CHECKS: Mapping[str, Check] = {
    "nodes": _node,
    "deployments": _deployment,
    "replicasets": _replicaset,
    "statefulsets": _statefulset,
    "daemonsets": _daemonset,
    "jobs": _job,
    "poddisruptionbudgets": _budget,
    "resourcequotas": _quota,
    "pods": _pod,
    "persistentvolumeclaims": _claim,
    "persistentvolumes": _volume,
}


def slices(state: State) -> Iterator[str]:
    """Services whose endpoints are not the ready pods they select."""
    for key, service in sorted(state.all("services").items()):
        selector = service["spec"].get("selector")
        if not selector:
            continue
        ready = sorted(
            pod["status"]["podIP"]
            for place, pod in state.all("pods").items()
            if place.namespace == key.namespace
            and is_ready(pod)
            and selector.items() <= pod["metadata"].get("labels", {}).items()
        )
        told = sorted(
            address
            for found in _slices_of(state, key)
            for endpoint in found.get("endpoints") or ()
            if endpoint["conditions"].get("ready")
            for address in endpoint["addresses"]
        )
        if told != ready:
            yield f"Service {key} has {told}, ready are {ready}"


def _slices_of(state: State, key: Key) -> Iterator[Document]:
    for place, found in state.all("endpointslices").items():
        labels = found["metadata"].get("labels", {})
        if (
            place.namespace == key.namespace
            and labels.get("kubernetes.io/service-name") == key.name
        ):
            yield found
