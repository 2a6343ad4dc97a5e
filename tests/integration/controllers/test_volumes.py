"""Claims and volumes at the real API server: who is bound to whom, and what becomes of it."""

from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    EVENTS,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    STORAGE_CLASSES,
    VOLUME_ATTACHMENTS,
)

DEFAULT = "storageclass.kubernetes.io/is-default-class"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"


def claim(name, size="1Gi", **spec):
    told = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {"metadata": {"name": name}, "spec": {**told, **spec}}


def volume(name, size="1Gi", **spec):
    told = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}}
    return {"metadata": {"name": name}, "spec": {**told, "hostPath": {"path": "/mnt"}, **spec}}


def storage_class(name, *, default=False, **told):
    notes = {"annotations": {DEFAULT: "true"}} if default else {}
    return {"metadata": {"name": name, **notes}, "provisioner": "x.io/y", **told}


async def phase(cluster, name, wanted, resource=PERSISTENT_VOLUME_CLAIMS, namespace="default"):
    async def is_so():
        found = await cluster.get(resource, name, namespace)
        return found if found["status"].get("phase") == wanted else None

    return await cluster.wait(is_so)


async def volume_phase(cluster, name, wanted):
    return await phase(cluster, name, wanted, PERSISTENT_VOLUMES, "")


async def told(cluster, name, reason):
    async def is_told():
        found = await cluster.list(EVENTS)
        return [
            item["message"]
            for item in found
            if item["reason"] == reason and item["involvedObject"]["name"] == name
        ]

    return (await cluster.wait(is_told))[0]


async def test_a_claim_is_bound_released_and_its_volume_stays(cluster):
    await cluster.create(PERSISTENT_VOLUMES, volume("big", "5Gi"), "")
    await volume_phase(cluster, "big", "Available")
    await cluster.create(PERSISTENT_VOLUMES, volume("small", "2Gi"), "")
    await volume_phase(cluster, "small", "Available")
    await cluster.create(PERSISTENT_VOLUME_CLAIMS, claim("data"))
    bound = await phase(cluster, "data", "Bound")
    assert bound["spec"]["volumeName"] == "small"
    assert bound["status"]["capacity"] == {"storage": "2Gi"}
    assert bound["status"]["accessModes"] == ["ReadWriteOnce"]
    assert bound["metadata"]["annotations"] == {
        "pv.kubernetes.io/bind-completed": "yes",
        "pv.kubernetes.io/bound-by-controller": "yes",
    }
    held = await volume_phase(cluster, "small", "Bound")
    reference = held["spec"]["claimRef"]
    assert (reference["name"], reference["uid"]) == ("data", bound["metadata"]["uid"])
    assert held["status"]["lastPhaseTransitionTime"]
    await cluster.objects.delete(PERSISTENT_VOLUME_CLAIMS, key("data"))
    await volume_phase(cluster, "small", "Released")
    await cluster.create(PERSISTENT_VOLUME_CLAIMS, claim("data", "2Gi"))
    assert (await phase(cluster, "data", "Bound"))["spec"]["volumeName"] == "big"


async def test_a_claim_waits_for_its_provisioner_and_takes_what_that_makes(cluster):
    await cluster.create(STORAGE_CLASSES, storage_class("made"), "")
    await cluster.create(PERSISTENT_VOLUME_CLAIMS, claim("data", storageClassName="made"))
    message = await told(cluster, "data", "ExternalProvisioning")
    assert "external provisioner 'x.io/y'" in message
    waiting = await phase(cluster, "data", "Pending")
    assert waiting["metadata"]["annotations"][PROVISIONER] == "x.io/y"
    reference = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "name": "data",
                 "namespace": "default", "uid": waiting["metadata"]["uid"]}  # fmt: skip
    made = volume("pvc-1", claimRef=reference, storageClassName="made",
                  persistentVolumeReclaimPolicy="Delete")  # fmt: skip
    made["metadata"]["annotations"] = {"pv.kubernetes.io/provisioned-by": "x.io/y"}
    await cluster.create(PERSISTENT_VOLUMES, made, "")
    assert (await phase(cluster, "data", "Bound"))["spec"]["volumeName"] == "pvc-1"
    await cluster.objects.delete(PERSISTENT_VOLUME_CLAIMS, key("data"))
    # Who made it deletes it.
    await volume_phase(cluster, "pvc-1", "Released")


async def test_a_claim_without_a_class_gets_the_default_one_that_comes_later(cluster):
    await cluster.create(PERSISTENT_VOLUME_CLAIMS, claim("data"))
    await told(cluster, "data", "FailedBinding")
    lazy = storage_class("lazy", default=True, volumeBindingMode="WaitForFirstConsumer")
    await cluster.create(STORAGE_CLASSES, lazy, "")
    message = await told(cluster, "data", "WaitForFirstConsumer")
    assert message == "waiting for first consumer to be created before binding"
    found = await cluster.get(PERSISTENT_VOLUME_CLAIMS, "data")
    assert found["spec"]["storageClassName"] == "lazy"


async def test_a_volume_kept_by_name_and_a_claim_that_names_one_find_each_other(cluster):
    reserved = volume("kept", claimRef={"namespace": "default", "name": "a"})
    await cluster.create(PERSISTENT_VOLUMES, reserved, "")
    await cluster.create(PERSISTENT_VOLUMES, volume("named", "9Gi"), "")
    await cluster.create(PERSISTENT_VOLUME_CLAIMS, claim("a"))
    await cluster.create(PERSISTENT_VOLUME_CLAIMS, claim("b", volumeName="named"))
    assert (await phase(cluster, "a", "Bound"))["spec"]["volumeName"] == "kept"
    assert (await phase(cluster, "b", "Bound"))["spec"]["volumeName"] == "named"
    await cluster.objects.delete(PERSISTENT_VOLUME_CLAIMS, key("a"))
    await volume_phase(cluster, "kept", "Released")


def driver_volume(name, **spec):
    return volume(name, hostPath=None, csi={"driver": "x.io", "volumeHandle": name}, **spec)


def user(name, claimed):
    source = {"persistentVolumeClaim": {"claimName": claimed}}
    containers = [{"name": "c", "image": "c:1"}]
    spec = {"containers": containers, "volumes": [{"name": "data", **source}]}
    return {"metadata": {"name": name}, "spec": {**spec, "terminationGracePeriodSeconds": 0}}


async def test_a_drivers_volume_is_attached_while_a_pod_uses_it(cluster):
    notes = {"annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}}
    await cluster.patch(NODES, "node-1", {"metadata": notes}, "")
    await cluster.create(PERSISTENT_VOLUMES, driver_volume("v"), "")
    await cluster.create(PERSISTENT_VOLUME_CLAIMS, claim("data"))
    await phase(cluster, "data", "Bound")
    await cluster.create(PODS, user("p", "data"))
    [made] = await cluster.wait(lambda: cluster.list(VOLUME_ATTACHMENTS, ""))
    source = {"persistentVolumeName": "v"}
    assert made["spec"] == {"attacher": "x.io", "nodeName": "node-1", "source": source}
    attached = Key("", made["metadata"]["name"])
    say = {"status": {"attached": True}}
    await cluster.objects.patch(VOLUME_ATTACHMENTS, attached, say, subresource="status")

    async def reported():
        found = await cluster.get(NODES, "node-1", "")
        return [item["name"] for item in found["status"].get("volumesAttached", ())]

    assert await cluster.wait(reported) == ["kubernetes.io/csi/x.io^v"]
    assert "succeeded" in await told(cluster, "p", "SuccessfulAttachVolume")
    using = {"status": {"volumesInUse": ["kubernetes.io/csi/x.io^v"]}}
    node = Key("", "node-1")
    await cluster.objects.patch(NODES, node, using, subresource="status")
    await cluster.objects.delete(PODS, Key("default", "p"), grace_period_seconds=0)
    await cluster.create(PODS, user("q", "data"))
    # It is wanted again before the node let go of it: it stays.
    await phase(cluster, "q", "Running", PODS)
    await cluster.objects.delete(PODS, Key("default", "q"), grace_period_seconds=0)
    assert await cluster.list(VOLUME_ATTACHMENTS, "")
    free = {"status": {"volumesInUse": None}}
    await cluster.objects.patch(NODES, node, free, subresource="status")

    async def detached():
        return not await cluster.list(VOLUME_ATTACHMENTS, "") and not await reported()

    await cluster.wait(detached)


async def test_an_attachment_that_a_person_made_is_left_alone(cluster):
    source = {"persistentVolumeName": "none"}
    spec = {"attacher": "x.io", "nodeName": "node-1", "source": source}
    await cluster.create(VOLUME_ATTACHMENTS, {"metadata": {"name": "mine"}, "spec": spec}, "")
    await cluster.create(PERSISTENT_VOLUMES, driver_volume("v"), "")
    await volume_phase(cluster, "v", "Available")
    [found] = await cluster.list(VOLUME_ATTACHMENTS, "")
    assert found["metadata"]["name"] == "mine"


async def test_a_claim_that_wants_more_waits_for_its_driver(cluster):
    await cluster.create(STORAGE_CLASSES, storage_class("x", allowVolumeExpansion=True), "")
    await cluster.create(PERSISTENT_VOLUMES, driver_volume("v", storageClassName="x"), "")
    await volume_phase(cluster, "v", "Available")
    await cluster.create(PERSISTENT_VOLUME_CLAIMS, claim("data", storageClassName="x"))
    await phase(cluster, "data", "Bound")
    more = {"spec": {"resources": {"requests": {"storage": "3Gi"}}}}
    await cluster.patch(PERSISTENT_VOLUME_CLAIMS, "data", more)
    message = await told(cluster, "data", "ExternalExpanding")
    assert message == "waiting for an external controller to expand this PVC"


async def test_a_pod_gets_a_claim_of_its_own(cluster):
    asked = claim("", storageClassName="x")["spec"]
    own = {"volumeClaimTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": asked}}
    body = user("p", "")
    body["spec"]["volumes"] = [{"name": "data", "ephemeral": own}]
    pod = await cluster.create(PODS, body)
    made = await cluster.wait(lambda: cluster.get(PERSISTENT_VOLUME_CLAIMS, "p-data"))
    assert made["metadata"]["ownerReferences"][0]["uid"] == pod["metadata"]["uid"]
    assert made["metadata"]["labels"] == {"a": "b"}
    assert made["spec"]["storageClassName"] == "x"


def key(name):
    return Key("default", name)
