"""Controllers know custom kinds: owners, dependents and namespaces, as soon as they are served."""

import json
import time

import yaml
from kit.definitions import crd, version


def eventually(holds, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_owners_and_namespaces_of_custom_objects(control_plane):
    kubectl = control_plane.kubectl
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    for plural, kind, scope in (("owners", "Owner", "Cluster"), ("things", "Thing", "Namespaced")):
        body = crd(
            plural, kind, "own.example.com", scope=scope, versions=[version(schema=anything)]
        )
        kubectl("apply", "-f", "-", text=yaml.safe_dump(body))
        kubectl("wait", "--for=condition=Established", f"crd/{plural}.own.example.com")
    kubectl("create", "namespace", "away")

    def create(kind, name, **metadata):
        body = {"apiVersion": "own.example.com/v1", "kind": kind,
                "metadata": {"name": name, **metadata}}  # fmt: skip
        return json.loads(kubectl("create", "-f", "-", "-o", "json", text=yaml.safe_dump(body)))

    def things(*where):
        return kubectl("get", "things", *where, "-o", "name").split()

    owner = create("Owner", "one")
    named = {"apiVersion": "own.example.com/v1", "kind": "Owner", "name": "one",
             "uid": owner["metadata"]["uid"]}  # fmt: skip
    create("Thing", "owned", ownerReferences=[named])
    create("Thing", "free")
    create("Thing", "inside", namespace="away")
    thing = create("Thing", "parent")
    reference = {"apiVersion": "own.example.com/v1", "kind": "Thing", "name": "parent",
                 "uid": thing["metadata"]["uid"]}  # fmt: skip
    child = {"apiVersion": "v1", "kind": "ConfigMap",
             "metadata": {"name": "child", "ownerReferences": [reference]}}  # fmt: skip
    kubectl("create", "-f", "-", text=yaml.safe_dump(child))

    kubectl("delete", "owner", "one")
    eventually(lambda: things() == ["thing.own.example.com/free", "thing.own.example.com/parent"])
    kubectl("delete", "thing", "parent", "--cascade=foreground")
    assert "child" not in kubectl("get", "configmaps", "-o", "name")
    kubectl("delete", "namespace", "away", "--timeout=30s")
    assert "inside" not in kubectl("get", "things", "-A")
    kubectl("delete", "crd", "things.own.example.com", "owners.own.example.com", "--timeout=20s")


def test_custom_objects_are_counted(control_plane, control_plane_namespace):
    def kubectl(*words, **more):
        return control_plane.kubectl(*words, "-n", control_plane_namespace, **more)

    def used():
        found = json.loads(kubectl("get", "resourcequota", "few", "-o", "json"))
        return found.get("status", {}).get("used", {}).get("count/cogs.count.example.com")

    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    body = crd("cogs", "Cog", "count.example.com", versions=[version(schema=anything)])
    kubectl("apply", "-f", "-", text=yaml.safe_dump(body))
    kubectl("wait", "--for=condition=Established", "crd/cogs.count.example.com")
    kubectl("create", "quota", "few", "--hard=count/cogs.count.example.com=1")
    eventually(lambda: used() == "0")
    cog = {"apiVersion": "count.example.com/v1", "kind": "Cog", "metadata": {"name": "one"}}
    kubectl("create", "-f", "-", text=yaml.safe_dump(cog))
    eventually(lambda: used() == "1")
    kubectl("delete", "cog", "one")
    eventually(lambda: used() == "0")
    kubectl("delete", "crd", "cogs.count.example.com")


def test_a_custom_kind_forgets_the_version_that_it_was_stored_in(control_plane):
    kubectl, name = control_plane.kubectl, "pegs.store.example.com"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

    def define(storage):
        versions = [
            version(word, schema=anything, storage=word == storage) for word in ("v1", "v2")
        ]
        body = crd("pegs", "Peg", "store.example.com", versions=versions)
        kubectl("apply", "-f", "-", text=yaml.safe_dump(body))

    def stored():
        return json.loads(kubectl("get", "crd", name, "-o", "json"))["status"]["storedVersions"]

    define("v1")
    kubectl("wait", "--for=condition=Established", f"crd/{name}")
    peg = {"apiVersion": "store.example.com/v1", "kind": "Peg", "metadata": {"name": "one"}}
    kubectl("create", "-f", "-", text=yaml.safe_dump(peg))
    define("v2")
    eventually(lambda: stored() == ["v1", "v2"])
    body = {
        "apiVersion": "storagemigration.k8s.io/v1",
        "kind": "StorageVersionMigration",
        "metadata": {"name": "pegs"},
        "spec": {"resource": {"group": "store.example.com", "resource": "pegs"}},
    }
    kubectl("create", "-f", "-", text=yaml.safe_dump(body))
    wait = ("wait", "--for=condition=Succeeded", "--timeout=20s")
    kubectl(*wait, "storageversionmigration/pegs")
    assert stored() == ["v2"]
    kubectl("delete", "storageversionmigration", "pegs")
    kubectl("delete", "crd", name)
