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
    kubectl("patch", "resourceclaim", metadata["name"], "--type=merge", "-p",
            json.dumps({"metadata": {"finalizers": ["resource.kubernetes.io/delete-protection"]}}))  # fmt: skip
    result = {"request": "r", "driver": "a.io", "pool": "p", "device": "d"}
    held = {"resource": "pods", "name": "user", "uid": pod["metadata"]["uid"]}
    given = {"allocation": {"devices": {"results": [result]}}, "reservedFor": [held]}
    kubectl("patch", "resourceclaim", metadata["name"], "--subresource=status", "--type=merge",
            "-p", json.dumps({"status": given}))  # fmt: skip
    kubectl("patch", "pod", "user", "--subresource=status", "--type=merge",
            "-p", json.dumps({"status": {"phase": "Failed"}}))  # fmt: skip
    kubectl("wait", "--for=delete", "resourceclaim", metadata["name"], "--timeout=20s")
