"""Claims of devices: a pod's are made, held and taken back."""

import json

import yaml

REQUESTS = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "any"}}]}}
TEMPLATE = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceClaimTemplate",
    "metadata": {"name": "card"},
    "spec": {"metadata": {"labels": {"made": "so"}}, "spec": REQUESTS},
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "user"},
    "spec": {
        "restartPolicy": "Never",
        "containers": [
            {"name": "c", "image": "i", "resources": {"claims": [{"name": "gpu"}]}},
        ],
        "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "card"}],
    },
}  # fmt: skip


FAILED = ("events", "--field-selector=reason=FailedResourceClaimCreation")


def test_a_pod_has_a_claim_of_its_own_until_it_has_ended(control_plane, control_plane_namespace):
    def kubectl(*words, **more):
        return control_plane.kubectl(*words, "-n", control_plane_namespace, **more)

    def claims():
        return json.loads(kubectl("get", "resourceclaims", "-o", "json"))["items"]

    kubectl("create", "-f", "-", text=yaml.safe_dump(POD))
    kubectl("wait", "--for=create", *FAILED, "--timeout=20s")
    [event, *_] = json.loads(kubectl("get", *FAILED, "-o", "json"))["items"]
    assert event["message"] == (
        'PodResourceClaim gpu: resource claim template "card": '
        'resourceclaimtemplate.resource.k8s.io "card" not found'
    )
    kubectl("create", "-f", "-", text=yaml.safe_dump(TEMPLATE))
    wait = ("wait", "--for=jsonpath={.status.resourceClaimStatuses[0].name}=gpu", "--timeout=20s")
    kubectl(*wait, "pod/user")
    pod = json.loads(kubectl("get", "pod", "user", "-o", "json"))
    [claim] = claims()
    [status] = pod["status"]["resourceClaimStatuses"]
    assert status == {"name": "gpu", "resourceClaimName": claim["metadata"]["name"]}
    metadata = claim["metadata"]
    assert metadata["name"].startswith("user-gpu-")
    assert metadata["annotations"] == {"resource.kubernetes.io/pod-claim-name": "gpu"}
    assert metadata["labels"] == {"made": "so"}
    assert [one["uid"] for one in metadata["ownerReferences"]] == [pod["metadata"]["uid"]]

    # As a scheduler would write it.
    protected = {"metadata": {"finalizers": ["resource.kubernetes.io/delete-protection"]}}
    kubectl("patch", "resourceclaim", metadata["name"], "--type=merge",
            "-p", json.dumps(protected))  # fmt: skip
    result = {"request": "r", "driver": "a.io", "pool": "p", "device": "d"}
    held = {"resource": "pods", "name": "user", "uid": pod["metadata"]["uid"]}
    given = {"allocation": {"devices": {"results": [result]}}, "reservedFor": [held]}
    kubectl("patch", "resourceclaim", metadata["name"], "--subresource=status", "--type=merge",
            "-p", json.dumps({"status": given}))  # fmt: skip
    kubectl("patch", "pod", "user", "--subresource=status", "--type=merge",
            "-p", json.dumps({"status": {"phase": "Failed"}}))  # fmt: skip
    kubectl("wait", "--for=delete", "resourceclaim", metadata["name"], "--timeout=20s")


RULE = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "DeviceTaintRule",
    "metadata": {"name": "broken"},
    "spec": {
        "deviceSelector": {"driver": "broken.io"},
        "taint": {"key": "broken", "effect": "NoExecute"},
    },
}


def test_a_pod_leaves_a_device_that_broke(control_plane, control_plane_namespace):
    def kubectl(*words, **more):
        return control_plane.kubectl(*words, "-n", control_plane_namespace, **more)

    claim = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": "shared"},
        "spec": REQUESTS,
    }
    body = json.loads(json.dumps(POD))
    body["spec"] |= {"nodeName": "nowhere", "resourceClaims": [
        {"name": "gpu", "resourceClaimName": "shared"}]}  # fmt: skip
    kubectl("create", "-f", "-", text=yaml.safe_dump_all([claim, body]))
    # No scheduler has seen the pod: what is given to its claim is reserved for it.
    result = {"request": "r", "driver": "broken.io", "pool": "p", "device": "d"}
    given = {"status": {"allocation": {"devices": {"results": [result]}}}}
    kubectl("patch", "resourceclaim", "shared", "--subresource=status", "--type=merge",
            "-p", json.dumps(given))  # fmt: skip
    wait = ("wait", "--timeout=20s")
    kubectl(*wait, "--for=jsonpath={.status.reservedFor[0].name}=user", "resourceclaim/shared")
    kubectl("create", "-f", "-", text=yaml.safe_dump(RULE))
    rule = json.loads(kubectl("get", "devicetaintrule", "broken", "-o", "json"))
    assert rule["spec"]["taint"]["timeAdded"] == rule["metadata"]["creationTimestamp"]
    reason = '{.status.conditions[?(@.type=="DisruptionTarget")].reason}'
    kubectl(*wait, f"--for=jsonpath={reason}=DeletionByDeviceTaintManager", "pod/user")
    kubectl(*wait, "--for=jsonpath={.metadata.deletionTimestamp}", "pod/user")
    kubectl(*wait, "--for=jsonpath={.status.conditions[0].type}=EvictionInProgress",
            "devicetaintrule/broken")  # fmt: skip
    kubectl("delete", "devicetaintrule", "broken")
