"""Budgets ask whatever controls their pods how many it wants: custom kinds by their scale."""

import json
import time

import yaml
from kit.definitions import crd, version


def eventually(look, wanted, seconds=20):
    deadline = time.monotonic() + seconds
    while (seen := look()) != wanted:
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)


class Shop:
    """Pods and budgets of one namespace."""

    def __init__(self, plane, namespace):
        self.plane, self.namespace = plane, namespace

    def kubectl(self, *arguments, text=None):
        return self.plane.kubectl("-n", self.namespace, *arguments, text=text)

    def create(self, body):
        text = yaml.safe_dump(body)
        return json.loads(self.kubectl("create", "-f", "-", "-o", "json", text=text))

    def pod(self, name, owner=None):
        container = {"name": "main", "image": "main:1"}
        metadata = {"name": name, "labels": {"app": name.partition("-")[0]}}
        if owner is not None:
            reference = {key: owner[key] for key in ("apiVersion", "kind")} | {
                key: owner["metadata"][key] for key in ("name", "uid")
            }
            metadata["ownerReferences"] = [{**reference, "controller": True}]
        spec = {"containers": [container]}
        return self.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def budget(self, app, **spec):
        selector = {"matchLabels": {"app": app}}
        body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"}
        self.create({**body, "metadata": {"name": app}, "spec": {"selector": selector, **spec}})

    def told(self, app):
        status = json.loads(self.kubectl("get", "pdb", app, "-o", "json")).get("status", {})
        [said] = status.get("conditions") or [{}]
        return (
            status.get("expectedPods"),
            status.get("desiredHealthy"),
            said.get("reason"),
            said.get("message"),
        )

    def waits(self, app, *wanted):
        eventually(lambda: self.told(app), wanted)

    def events(self, reason):
        return self.kubectl("get", "events", "--field-selector", f"reason={reason}")


def job_of(app):
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "main:1"}]}
    template = {"metadata": {"labels": {"app": app}}, "spec": pod}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": app},
            "spec": {"template": template}}  # fmt: skip


def test_budgets_of_every_kind_of_owner(control_plane, control_plane_namespace):
    shop = Shop(control_plane, control_plane_namespace)
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    for plural, kind, more in (
        ("fleets", "Fleet", {"subresources": {"scale": scale}}),
        ("rolls", "Roll", {}),
    ):
        served = [version(schema=anything, **more)]
        body = crd(plural, kind, "own.example.org", versions=served)
        control_plane.kubectl("apply", "-f", "-", text=yaml.safe_dump(body))
        wait = ("wait", "--for=condition=Established", f"crd/{plural}.own.example.org")
        control_plane.kubectl(*wait)
    own = {"apiVersion": "own.example.org/v1", "metadata": {"name": "one"}}
    fleet = shop.create({**own, "kind": "Fleet", "spec": {"replicas": 5}})
    unscaled = shop.create({**own, "kind": "Roll"})
    stranger = {"apiVersion": "no.example.org/v1", "kind": "Odd", "metadata": fleet["metadata"]}

    no_scale = "does not implement the scale subresource"
    shop.pod("fleet-0", fleet)
    shop.budget("fleet", maxUnavailable="30%")
    shop.waits("fleet", 5, 3, "InsufficientPods", "")

    for app, spec, told in (
        ("some", {"minAvailable": 1}, (1, 1, "InsufficientPods", "")),
        ("batch", {"maxUnavailable": 1}, (0, 0, "SyncFailed", f"jobs.batch {no_scale}")),
    ):
        shop.create(job_of(app))
        shop.budget(app, **spec)
        shop.waits(app, *told)

    for app, owner, why in (
        ("roll", unscaled, f"rolls.own.example.org {no_scale}"),
        ("odd", stranger, 'no matches for kind "Odd" in version "no.example.org/v1"'),
    ):
        shop.pod(f"{app}-0", owner)
        shop.budget(app, maxUnavailable=1)
        shop.waits(app, 0, 0, "SyncFailed", why)
    assert "batch" in shop.events("CalculateExpectedPodCountFailed")

    shop.budget("nobody", minAvailable=1)
    shop.waits("nobody", 0, 1, "InsufficientPods", "")
    eventually(lambda: "No matching pods found" in shop.events("NoPods"), wanted=True)


def test_a_pod_that_stayed_is_marked_no_more(control_plane, control_plane_namespace):
    shop = Shop(control_plane, control_plane_namespace)
    shop.pod("stays")
    mark = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
            "lastTransitionTime": "2020-01-01T00:00:00Z"}  # fmt: skip
    patch = json.dumps({"status": {"conditions": [mark]}})
    shop.kubectl("patch", "pod", "stays", "--subresource=status", "-p", patch)

    def told():
        status = json.loads(shop.kubectl("get", "pod", "stays", "-o", "json"))["status"]
        [said] = [item for item in status["conditions"] if item["type"] == "DisruptionTarget"]
        del said["lastTransitionTime"]
        return said

    eventually(told, {"type": "DisruptionTarget", "status": "False"})
