"""What a pod gets once."""

from pilothouse.services.apiserver.strategies.pod.pod_birth import born

KEY = "container.apparmor.security.beta.kubernetes.io/c"


def pod(labels=None, annotations=None, **spec):
    metadata = {"name": "p", "labels": labels or {}, "annotations": annotations or {}}
    return {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def test_a_gated_pod_says_so():
    gated = pod(schedulingGates=[{"name": "a"}])
    assert born(gated) == []
    assert gated["status"]["conditions"] == [
        {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
         "message": "Scheduling is blocked due to non-empty scheduling gates"}
    ]  # fmt: skip
    free = pod()
    born(free)
    assert free["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_selectors_know_the_labels_of_the_pod():
    term = {"labelSelector": {"matchLabels": {"app": "a"}}, "matchLabelKeys": ["hash", "none"],
            "mismatchLabelKeys": ["team"], "topologyKey": "t"}  # fmt: skip
    spread = {"labelSelector": {}, "matchLabelKeys": ["hash"]}
    nothing = {"matchLabelKeys": ["hash"]}
    body = pod(
        {"hash": "1", "team": "x"},
        affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}},
        topologySpreadConstraints=[spread, nothing],
    )
    born(body)
    one = {"key": "hash", "operator": "In", "values": ["1"]}
    assert term["labelSelector"]["matchExpressions"] == [
        one, {"key": "team", "operator": "NotIn", "values": ["x"]}
    ]  # fmt: skip
    assert spread["labelSelector"] == {"matchExpressions": [one]}
    assert "labelSelector" not in nothing


def test_profiles_become_fields():
    body = pod(annotations={KEY: "localhost/mine"})
    [told] = born(body)
    assert told == (
        f'metadata.annotations[{KEY}]: deprecated since v1.30; use the "appArmorProfile" field '
        "instead"
    )
    [container] = body["spec"]["containers"]
    assert container["securityContext"]["appArmorProfile"] == {
        "type": "Localhost", "localhostProfile": "mine"
    }  # fmt: skip
    same = pod(annotations={KEY: "unconfined"},
               securityContext={"appArmorProfile": {"type": "Unconfined"}})  # fmt: skip
    assert born(same) == []
    assert "securityContext" not in same["spec"]["containers"][0]
    assert len(born(pod(annotations={KEY: "nonsense"}))) == 1
