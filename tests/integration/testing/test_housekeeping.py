"""Small promises of the controllers, as kubectl sees them."""

import json

import yaml

POLICY = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingAdmissionPolicy",
    "metadata": {"name": "small"},
    "spec": {
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"],
                 "resources": ["deployments"]}
            ]
        },
        "validations": [
            {"expression": "object.spec.replicas < 5"},
            {"expression": "object.replicas < 5"},
            {"expression": "object.spec.template.spec.containers.all(c, c.image != '')",
             "messageExpression": "'there is ' + object.spec.replicas"},
        ],
    },
}  # fmt: skip


def test_a_policy_has_been_looked_at(control_plane):
    control_plane.kubectl("create", "-f", "-", text=yaml.safe_dump(POLICY))
    wait = ("wait", "--for=jsonpath={.status.observedGeneration}=1", "--timeout=20s")
    control_plane.kubectl(*wait, "validatingadmissionpolicy/small")
    told = json.loads(
        control_plane.kubectl("get", "validatingadmissionpolicy", "small", "-o", "json")
    )
    found = told["status"]["typeChecking"]["expressionWarnings"]
    assert [item["fieldRef"] for item in found] == [
        "spec.validations[1].expression",
        "spec.validations[2].messageExpression",
    ]
    assert found[0]["warning"] == (
        "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'\n"
        " | object.replicas < 5\n"
        " | ......^"
    )
    control_plane.kubectl("delete", "validatingadmissionpolicy", "small")


def test_the_authority_is_there_to_be_mounted(control_plane):
    name = "kubernetes.io:kube-apiserver-serving:"
    found = json.loads(control_plane.kubectl("get", "clustertrustbundles", "-o", "json"))["items"]
    [bundle] = [item for item in found if item["metadata"]["name"].startswith(name)]
    assert bundle["spec"]["signerName"] == "kubernetes.io/kube-apiserver-serving"
    assert bundle["spec"]["trustBundle"].startswith("-----BEGIN CERTIFICATE-----")


def test_a_kind_is_migrated(control_plane, control_plane_namespace):
    kubectl = control_plane.kubectl
    kubectl("create", "configmap", "one", "-n", control_plane_namespace)
    body = {
        "apiVersion": "storagemigration.k8s.io/v1",
        "kind": "StorageVersionMigration",
        "metadata": {"name": "all-configmaps"},
        "spec": {"resource": {"group": "", "resource": "configmaps"}},
    }
    kubectl("create", "-f", "-", text=yaml.safe_dump(body))
    kubectl("wait", "--for=condition=Succeeded", "storageversionmigration/all-configmaps",
            "--timeout=20s")  # fmt: skip
    told = json.loads(kubectl("get", "storageversionmigration", "all-configmaps", "-o", "json"))
    assert int(told["status"]["resourceVersion"]) > 0
    kubectl("delete", "storageversionmigration", "all-configmaps")
