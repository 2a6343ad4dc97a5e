"""Rules of pods: what is wrong, and how the real server says so."""

import copy

import pytest

from pilothouse.services.apiserver.strategies.pod import pods
from pilothouse.services.apiserver.strategies.pod.pods import STRATEGY
from pilothouse.services.machinery import errors

CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def pod(container=None, **spec):
    first = {"name": "c", "image": "i", **(container or {})}
    return {"metadata": {"name": "p"}, "spec": {"containers": [first], **spec}}


def told(causes: list[errors.Cause]) -> list[str]:
    return [f"{cause.field}: {cause.message}" for cause in causes]


def wrong(body):
    body = copy.deepcopy(body)
    STRATEGY.default(body)
    return told(STRATEGY.check(body) + STRATEGY.check_create(body))


def test_a_plain_pod_is_fine():
    assert wrong(pod()) == []


SPECS = [
    ({"restartPolicy": "Sometimes"},
     'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", '
     '"OnFailure", "Never"'),
    ({"dnsPolicy": "None"},
     "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
    ({"dnsConfig": {"nameservers": ["1.1.1.1", "bad"]}},
     'spec.dnsConfig.nameservers[1]: Invalid value: "bad": must be a valid IP address, (e.g. '
     "10.9.8.7 or 2001:db8::ffff)"),
    ({"activeDeadlineSeconds": 0},
     "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"),
    ({"hostname": "a.b"}, 'spec.hostname: Invalid value: "a.b": must not contain dots'),
    ({"securityContext": {"sysctls": [{"name": "foo-", "value": "x"}]}},
     'spec.securityContext.sysctls[0].name: Invalid value: "foo-": must have at most 253 '
     r"characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*"
     "[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"),
    ({"securityContext": {"sysctls": [{"name": "net.core.somaxconn", "value": "1"}]},
      "hostNetwork": True},
     'spec.securityContext.sysctls[0].name: Invalid value: "net.core.somaxconn": may not be '
     "specified when 'hostNetwork' is true"),
    ({"hostnameOverride": "a.b", "setHostnameAsFQDN": True},
     "spec.setHostnameAsFQDN: Forbidden: may not be specified when `hostnameOverride` is "
     "specified"),
    ({"hostnameOverride": "a" * 65}, "spec.hostnameOverride: Too long: may not be more than 64 "
     "bytes"),
    ({"containers": [{"name": "c", "image": "i", "restartPolicy": "Never",
                      "restartPolicyRules": [{"action": "Restart"}]}]},
     "spec.containers[0].restartPolicyRules[0].exitCodes: Required value: must be specified"),
    ({"containers": [{"name": "c", "image": "i", "restartPolicy": "Never", "restartPolicyRules": [
        {"action": "Restart", "exitCodes": {"operator": "Is", "values": [1]}}]}]},
     'spec.containers[0].restartPolicyRules[0].exitCodes.operator: Unsupported value: "Is": '
     'supported values: "In", "NotIn"'),
    ({"securityContext": {"runAsUser": -1}},
     "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, "
     "inclusive"),
    ({"securityContext": {"seccompProfile": {"type": "Localhost"}}},
     "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when "
     "seccomp type is Localhost"),
    ({"tolerations": [{"operator": "Exists", "value": "x"}]},
     "spec.tolerations[0].operator: Invalid value: \"x\": value must be empty when `operator` is "
     "'Exists'"),
    ({"tolerations": [{"key": "k", "effect": "NoSchedule", "tolerationSeconds": 1}]},
     'spec.tolerations[0].effect: Invalid value: "NoSchedule": effect must be \'NoExecute\' when '
     "`tolerationSeconds` is set"),
    ({"volumes": [{"name": "v", "hostPath": {"path": "/a/../b"}}]},
     "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"),
    ({"volumes": [{"name": "v", "secret": {}}]},
     "spec.volumes[0].secret.secretName: Required value"),
    ({"volumes": [{"name": "v", "configMap": {"name": "c", "defaultMode": 4096}}]},
     "spec.volumes[0].configMap.defaultMode: Invalid value: 4096: must be a number between 0 and "
     "0777 (octal), both inclusive"),
    ({"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]},
     "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"),
    ({"volumes": [{"name": "v"}, {"name": "v"}]},
     'spec.volumes[1].name: Duplicate value: "v"'),
    ({"volumes": [{"name": "v", "projected": {"sources": [
        {"serviceAccountToken": {"path": "t", "expirationSeconds": 60}}]}}]},
     "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: "
     "60: may not specify a duration less than 10 minutes"),
    ({"volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]},
     "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 "
     "access mode is required"),
    ({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                                    {"nodeSelectorTerms": []}}}},
     "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution."
     "nodeSelectorTerms: Required value: must have at least one node selector term"),
    ({"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "zone",
                                     "whenUnsatisfiable": "DoNotSchedule"}]},
     "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero"),
    ({"schedulingGates": [{"name": "a"}], "nodeName": "n"},
     "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"),
    ({"ephemeralContainers": [{"name": "e", "image": "i"}]},
     "spec.ephemeralContainers: Forbidden: cannot be set on create"),
    ({"hostAliases": [{"ip": "x", "hostnames": ["a"]}]},
     'spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or '
     "2001:db8::ffff)"),
    ({"initContainers": [{"name": "c", "image": "i"}]},
     'spec.initContainers[0].name: Duplicate value: "c"'),
    ({"initContainers": [{"name": "s", "image": "i",
                          "livenessProbe": {"exec": {"command": ["x"]}}}]},
     "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without "
     "restartPolicy=Always"),
    ({"preemptionPolicy": "Maybe"},
     'spec.preemptionPolicy: Unsupported value: "Maybe": supported values: '
     '"PreemptLowerPriority", "Never"'),
    ({"os": {"name": "plan9"}},
     'spec.os: Unsupported value: "plan9": supported values: "linux", "windows"'),
    ({"resourceClaims": [{"name": "a"}]},
     'spec.resourceClaims[0]: Invalid value: {"name":"a"}: must specify one of: '
     "`resourceClaimName`, `resourceClaimTemplateName`"),
    ({"resources": {"requests": {"cpu": "1"}},
      "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "2"}}}]},
     'spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to '
     "aggregate container requests of 2"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "message"), SPECS)
def test_of_the_spec(spec, message):
    assert message in wrong(pod(**spec))


CONTAINERS = [
    ({"name": ""}, "spec.containers[0].name: Required value"),
    ({"name": "C"}, "spec.containers[0].name: Invalid value: \"C\": a lowercase RFC 1123 label"),
    ({"image": ""}, "spec.containers[0].image: Required value"),
    ({"image": " i"}, 'spec.containers[0].image: Invalid value: " i": must not have leading'),
    ({"imagePullPolicy": "x"},
     'spec.containers[0].imagePullPolicy: Unsupported value: "x": supported values: "Always", '
     '"IfNotPresent", "Never"'),
    ({"ports": [{"containerPort": 70000}]},
     "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and "
     "65535, inclusive"),
    ({"ports": [{"containerPort": 1, "hostPort": 8}, {"containerPort": 2, "hostPort": 8}]},
     'spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//8"'),
    ({"env": [{"name": "a=b"}]},
     'spec.containers[0].env[0].name: Invalid value: "a=b": a valid environment variable name '
     "must consist only of printable ASCII characters other than '='"),
    ({"env": [{"name": "a", "value": "x", "valueFrom": {"fieldRef": {"fieldPath":
                                                                   "metadata.name"}}}]},
     'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` '
     "is not empty"),
    ({"env": [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "spec.nope"}}}]},
     "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.nope\": error "
     "converting fieldPath: field label not supported: spec.nope"),
    ({"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
     'spec.containers[0].volumeMounts[0].name: Not found: "v"'),
    ({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
     'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to '
     "cpu limit of 1"),
    ({"resources": {"requests": {"example.com/x": "1"}}},
     "spec.containers[0].resources.limits: Required value: Limit must be set for non "
     "overcommitable resources"),
    ({"resources": {"limits": {"example.com/x": "500m"}}},
     'spec.containers[0].resources.limits[example.com/x]: Invalid value: "500m": must be an '
     "integer"),
    ({"resources": {"limits": {"gold": "1"}}},
     'spec.containers[0].resources.limits[gold]: Invalid value: "gold": must be a standard '
     "resource type or fully qualified"),
    ({"resources": {"limits": {"hugepages-2Mi": "3Mi", "cpu": "1"}}},
     'spec.containers[0].resources.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not '
     "positive integer multiple of hugepages-2Mi"),
    ({"resources": {"limits": {"hugepages-2Mi": "2Mi"}}},
     "spec.containers[0].resources: Forbidden: HugePages require cpu or memory"),
    ({"livenessProbe": {"httpGet": {"port": 0}}},
     "spec.containers[0].livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and "
     "65535, inclusive"),
    ({"livenessProbe": {}},
     "spec.containers[0].livenessProbe: Required value: must specify a handler type"),
    ({"livenessProbe": {"exec": {"command": ["x"]}, "successThreshold": 2}},
     "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"),
    ({"readinessProbe": {"exec": {"command": ["x"]}, "terminationGracePeriodSeconds": 2}},
     "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 2: must "
     "not be set for readinessProbes"),
    ({"lifecycle": {"preStop": {"sleep": {"seconds": 99}}}},
     "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 99: must be non-negative and "
     "less than terminationGracePeriodSeconds (30)"),
    ({"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
     "spec.containers[0].securityContext: Invalid value: "
     '{"privileged":true,"allowPrivilegeEscalation":false}: cannot set '
     "`allowPrivilegeEscalation` to false and `privileged` to true"),
    ({"terminationMessagePolicy": "x"},
     'spec.containers[0].terminationMessagePolicy: Unsupported value: "x": supported values: '
     '"File", "FallbackToLogsOnError"'),
    ({"resizePolicy": [{"resourceName": "disk", "restartPolicy": "NotRequired"}]},
     'spec.containers[0].resizePolicy: Unsupported value: "disk": supported values: "cpu", '
     '"memory"'),
]  # fmt: skip


@pytest.mark.parametrize(("container", "message"), CONTAINERS)
def test_of_containers(container, message):
    found = wrong(pod(container))
    assert any(line.startswith(message) for line in found), found


def test_defaults_of_a_pod_are_more_than_those_of_a_template():
    body = pod(
        {"ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "1"}}},
        hostNetwork=True,
    )
    STRATEGY.default(body)
    container = body["spec"]["containers"][0]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP", "hostPort": 80}]
    assert container["resources"]["requests"] == {"cpu": "1"}
    assert body["spec"]["enableServiceLinks"] is True


@pytest.mark.parametrize(
    ("image", "policy"),
    [("nginx", "Always"), ("nginx:latest", "Always"), ("r:5000/nginx", "Always"),
     ("nginx:1", "IfNotPresent"), ("nginx@sha256:0", "IfNotPresent"),
     ("nginx:latest@sha256:0", "Always")],
)  # fmt: skip
def test_when_images_are_pulled(image, policy):
    body = pod({"image": image})
    STRATEGY.default(body)
    assert body["spec"]["containers"][0]["imagePullPolicy"] == policy


def changed(change, **before):
    old = pod(**before)
    STRATEGY.default(old)
    new = copy.deepcopy(old)
    change(new["spec"])
    return told(pods.check_update(new, old))


def test_an_update_may_change_little():
    assert changed(lambda spec: spec["containers"][0].update(image="other")) == []
    assert changed(lambda spec: spec.update(activeDeadlineSeconds=5)) == []
    assert changed(lambda spec: spec.update(tolerations=[{"operator": "Exists"}])) == []
    gates = [{"name": "a"}, {"name": "b"}]
    assert changed(lambda spec: spec.update(schedulingGates=gates[:1]), schedulingGates=gates) == []
    [message] = changed(lambda spec: spec.update(hostname="other"))
    assert message.startswith(
        "spec: Forbidden: pod updates may not change fields other than "
        "`spec.containers[*].image`,`spec.initContainers[*].image`,"
    )
    assert '+  "hostname": "other"' in message


def test_what_an_update_may_not_do():
    assert changed(lambda spec: spec["containers"].append({"name": "d"})) == [
        "spec.containers: Forbidden: pod updates may not add or remove containers"
    ]
    assert changed(lambda spec: spec.update(activeDeadlineSeconds=9), activeDeadlineSeconds=5) == [
        "spec.activeDeadlineSeconds: Invalid value: 9: must be less than or equal to previous value"
    ]
    mine = [{"key": "a", "operator": "Exists"}]
    assert changed(lambda spec: spec.update(tolerations=[]), tolerations=mine) == [
        "spec.tolerations: Forbidden: existing toleration can not be modified except its "
        "tolerationSeconds"
    ]
    new_gate = [{"name": "a"}, {"name": "z"}]
    found = changed(lambda s: s.update(schedulingGates=new_gate), schedulingGates=[{"name": "a"}])
    assert found == [
        "spec.schedulingGates[1].name: Forbidden: only deletion is allowed, but found new "
        "scheduling gate 'z'"
    ]


def test_gated_pods_may_become_choosier():
    gates = [{"name": "a"}]
    choosy = {"zone": "a"}
    assert changed(lambda spec: spec.update(nodeSelector=choosy), schedulingGates=gates) == []
    found = changed(
        lambda spec: spec.update(nodeSelector={}), schedulingGates=gates, nodeSelector=choosy
    )
    assert found == [
        "spec.nodeSelector: Invalid value: {}: only additions to spec.nodeSelector are allowed (no "
        "mutations or deletions)"
    ]


def test_a_container_that_ended_for_good_does_not_run_again():
    ended = {"name": "c", "state": {"terminated": {"exitCode": 0}}}
    runs = {"name": "c", "state": {"running": {}}}
    old = {**pod(restartPolicy="Never"), "status": {"containerStatuses": [ended]}}
    new = {**pod(restartPolicy="Never"), "status": {"containerStatuses": [runs]}}
    assert told(STRATEGY.check_status(new, old)) == [
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated "
        "state"
    ]


@pytest.mark.parametrize(
    ("cost", "fine"),
    [("5", True), ("-5", True), ("0", True), ("2147483647", True), ("2147483648", False),
     ("+5", False), ("05", False), ("five", False), ("", False)],
)  # fmt: skip
def test_what_a_pods_loss_costs_is_a_number(cost, fine):
    key = "controller.kubernetes.io/pod-deletion-cost"
    new = pod()
    new["metadata"]["annotations"] = {key: cost}
    said = f'metadata.annotations[{key}]: Invalid value: "{cost}": must be a 32bit integer'
    assert wrong(new) == ([] if fine else [said])
    assert told(pods.check_update(new, pod())) == ([] if fine else [said])
    assert pods.check_update(new, new) == []
