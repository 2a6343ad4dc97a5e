"""The garbage collector, of owners that are none."""

import json
import time

import yaml


def eventually(holds, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def configmap(name, *owners):
    references = [{"apiVersion": "v1", **owner} for owner in owners]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "ownerReferences": references},
    }


def test_an_owner_in_another_namespace_is_none(control_plane, control_plane_namespace):
    def kubectl(*words, namespace=control_plane_namespace, **more):
        return control_plane.kubectl(*words, "-n", namespace, **more)

    def create(body, **more):
        made = kubectl("create", "-o", "json", "-f", "-", text=yaml.safe_dump(body), **more)
        return json.loads(made)["metadata"]

    far = create(configmap("owner"), namespace="default")
    near = create(configmap("near"))
    reference = {"kind": "ConfigMap", "name": "owner", "uid": far["uid"]}
    solid = {"kind": "ConfigMap", "name": "near", "uid": near["uid"]}
    renamed = {**solid, "name": "other"}
    create(configmap("half", reference, solid))
    create(configmap("renamed", renamed))
    create(configmap("child", reference))
    for name in ("child", "renamed"):
        kubectl("wait", "--for=delete", f"configmap/{name}", "--timeout=20s")
    told = "events", "--field-selector=reason=OwnerRefInvalidNamespace"
    kubectl("wait", "--for=create", *told, "--timeout=20s")
    events = json.loads(kubectl("get", *told, "-o", "json"))["items"]
    [message] = {event["message"] for event in events if event["involvedObject"]["name"] == "child"}
    assert message == (
        f"ownerRef [v1/ConfigMap, namespace: {control_plane_namespace}, name: owner, "
        f'uid: {far["uid"]}] does not exist in namespace "{control_plane_namespace}"'
    )

    def owners():
        found = json.loads(kubectl("get", "configmap", "half", "-o", "json"))
        return [owner["name"] for owner in found["metadata"]["ownerReferences"]]

    eventually(lambda: owners() == ["near"])
    # One of the cluster can not be owned by one of a namespace: it is left alone, and that told.
    body = {
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1,
        "metadata": {"name": "owned", "ownerReferences": [{"apiVersion": "v1", **reference}]},
    }  # fmt: skip
    create(body)

    def warned():
        found = json.loads(kubectl("get", *told, "-o", "json", namespace="default"))["items"]
        return any(event["involvedObject"]["name"] == "owned" for event in found)

    eventually(warned)
    kubectl("delete", "priorityclass", "owned")
    kubectl("delete", "configmap", "owner", namespace="default")


def test_owners_that_are_deleted_wait_for_those_that_block_them(
    control_plane, control_plane_namespace
):
    def kubectl(*words, **more):
        return control_plane.kubectl(*words, "-n", control_plane_namespace, **more)

    def create(name, *owners, held=False):
        body = configmap(name, *owners)
        body["metadata"]["finalizers"] = ["example.com/held"] if held else []
        made = kubectl("create", "-o", "json", "-f", "-", text=yaml.safe_dump(body))
        uid = json.loads(made)["metadata"]["uid"]
        return {"kind": "ConfigMap", "name": name, "uid": uid}

    def left():
        found = json.loads(kubectl("get", "configmaps", "-o", "json"))["items"]
        return {
            item["metadata"]["name"]: [one["name"] for one in item["metadata"]["ownerReferences"]]
            if "ownerReferences" in item["metadata"]
            else []
            for item in found
        }

    def blocked(owner):
        return {**owner, "blockOwnerDeletion": True}

    free, tied, one, two = (create(name) for name in ("free", "tied", "one", "two"))
    create("loose", free, held=True)
    create("tight", blocked(tied), held=True)
    create("shared", blocked(one), two)
    kubectl("delete", "configmap", "free", "tied", "one", "--cascade=foreground", "--wait=false")
    for name in ("free", "one"):
        kubectl("wait", "--for=delete", f"configmap/{name}", "--timeout=20s")
    going = "--for=jsonpath={.metadata.deletionTimestamp}"
    kubectl("wait", going, "configmap/loose", "configmap/tight", "--timeout=20s")
    found = left()
    assert found["shared"] == ["two"]
    assert {"tied", "tight", "loose"} <= found.keys()
    release = '{"metadata": {"finalizers": null}}'
    for name in ("loose", "tight"):
        kubectl("patch", "configmap", name, "--type=merge", "-p", release)
    kubectl("wait", "--for=delete", "configmap/tied", "--timeout=20s")


def test_an_owner_of_the_cluster_takes_its_own_along(control_plane, control_plane_namespace):
    def kubectl(*words, **more):
        return control_plane.kubectl(*words, "-n", control_plane_namespace, **more)

    body = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1,
            "metadata": {"name": "owning"}}  # fmt: skip
    made = kubectl("create", "-o", "json", "-f", "-", text=yaml.safe_dump(body))
    uid = json.loads(made)["metadata"]["uid"]
    owner = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "name": "owning"}
    for name, found in (("valid", uid), ("invalid", "no-such-uid")):
        body = configmap(name, {**owner, "uid": found})
        kubectl("create", "-f", "-", text=yaml.safe_dump(body))
    kubectl("wait", "--for=delete", "configmap/invalid", "--timeout=20s")
    kubectl("get", "configmap", "valid")
    kubectl("delete", "priorityclass", "owning")
    kubectl("wait", "--for=delete", "configmap/valid", "--timeout=20s")
