"""Rules of the other kinds: one wrong thing each, and how the real server says so."""

import copy

import pytest

from pilothouse.services.apiserver.strategies.every import BY_KIND

TEMPLATE = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}
NEVER = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}
CHOSEN = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
VOLUME = {
    "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/v"},
}  # fmt: skip
BACKEND = {"service": {"name": "s", "port": {"number": 80}}}
ROLE = {"kind": "Role", "name": "r"}


def spec(**fields):
    return {"metadata": {"name": "n", "namespace": "default", "uid": "u"}, "spec": fields}


def top(**fields):
    return {"metadata": {"name": "n", "namespace": "default"}, **fields}


def wrong(kind, body):
    strategy = BY_KIND[kind]
    body = copy.deepcopy(body)
    strategy.default(body)
    causes = strategy.check(body) + strategy.check_create(body)
    return [f"{cause.field}: {cause.message}" for cause in causes]


def changes(kind, old, new):
    strategy = BY_KIND[kind]
    old, new = copy.deepcopy(old), copy.deepcopy(new)
    strategy.default(old)
    strategy.default(new)
    return [f"{c.field}: {c.message}" for c in strategy.check_update(new, old)]


def job(**fields):
    return {"parallelism": 1, "completions": 1, "template": NEVER, **fields}


SUSPENDED = {"type": "Suspended", "status": "True"}
RESUMED = {"type": "Suspended", "status": "False"}
APPS, BATCH, NET, STORAGE = "apps", "batch", "networking.k8s.io", "storage.k8s.io"
RBAC = "rbac.authorization.k8s.io"

CASES = [
    ((APPS, "Deployment"), spec(selector={"matchLabels": {"x": "y"}}, template=TEMPLATE),
     'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template '
     "`labels`"),
    ((APPS, "Deployment"), spec(**CHOSEN, replicas=-1),
     "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    ((APPS, "Deployment"), spec(**CHOSEN, strategy={"rollingUpdate": {"maxUnavailable": 0,
                                                                     "maxSurge": 0}}),
     "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` "
     "is 0"),
    ((APPS, "Deployment"), spec(selector={"matchLabels": {"a": "b"}}, template=NEVER),
     'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'),
    ((APPS, "StatefulSet"), spec(**CHOSEN, podManagementPolicy="x"),
     "spec.podManagementPolicy: Invalid value: \"x\": must be 'OrderedReady' or 'Parallel'"),
    ((APPS, "ControllerRevision"), top(revision=1), "data: Required value: data is mandatory"),
    ((BATCH, "CronJob"), spec(schedule="61 * * * *", jobTemplate={"spec": {"template": NEVER}}),
     'spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61'),
    ((BATCH, "CronJob"), spec(schedule="* * * *", jobTemplate={"spec": {"template": NEVER}}),
     'spec.schedule: Invalid value: "* * * *": expected exactly 5 fields, found 4: [* * * *]'),
    ((BATCH, "CronJob"), spec(schedule="* * * * *", timeZone="Nowhere/Here",
                              jobTemplate={"spec": {"template": NEVER}}),
     'spec.timeZone: Invalid value: "Nowhere/Here": unknown time zone Nowhere/Here'),
    (("", "Service"), spec(), "spec.ports: Required value"),
    (("", "Service"), spec(type="ExternalName"), "spec.externalName: Required value"),
    (("", "Service"), spec(ports=[{"port": 1}, {"port": 2, "name": "b"}]),
     "spec.ports[0].name: Required value"),
    (("", "Service"), spec(ports=[{"port": 80}], externalTrafficPolicy="Local"),
     'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for '
     "externally-accessible services"),
    (("", "Service"), spec(ports=[{"port": 80}], ipFamilyPolicy="RequireDualStack"),
     'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for '
     "dual-stack services"),
    (("", "Service"), spec(ports=[{"port": 80}], externalIPs=["127.0.0.1"]),
     'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range '
     "(127.0.0.0/8, ::1/128)"),
    (("", "Endpoints"), top(subsets=[{"addresses": [{"ip": "169.254.1.1"}]}]),
     'subsets[0].addresses[0].ip: Invalid value: "169.254.1.1": may not be in the link-local '
     "range (169.254.0.0/16, fe80::/10)"),
    (("discovery.k8s.io", "EndpointSlice"), top(addressType="IPv5", endpoints=[]),
     'addressType: Unsupported value: "IPv5": supported values: "FQDN", "IPv4", "IPv6"'),
    ((NET, "Ingress"), spec(rules=[{"http": {"paths": [{"path": "x", "pathType": "Prefix",
                                                       "backend": BACKEND}]}}]),
     'spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path'),
    ((NET, "Ingress"), spec(),
     "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"),
    ((NET, "IngressClass"), spec(controller="nope"),
     'spec.controller: Invalid value: "nope": must be a domain-prefixed path (such as '
     '"acme.io/foo")'),
    ((NET, "NetworkPolicy"), spec(podSelector={}, ingress=[{"from": [{"ipBlock": {
        "cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]}]),
     'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict '
     "subset of `cidr`"),
    ((NET, "ServiceCIDR"), spec(cidrs=["10.1.0.1/16"]),
     'spec.cidrs[0]: Invalid value: "10.1.0.1/16": must not have bits set beyond the prefix '
     "length"),
    (("", "ConfigMap"), top(data={"": "x"}),
     'data[]: Invalid value: "": a valid config key must consist of'),
    (("", "ConfigMap"), top(data={"..": "x"}), "data[..]: Invalid value: \"..\": must not be '..'"),
    (("", "Secret"), top(type="kubernetes.io/tls", data={"tls.crt": ""}),
     "data[tls.key]: Required value"),
    (("", "Secret"), top(type="kubernetes.io/basic-auth"), "data[username]: Required value"),
    (("", "Secret"), top(data={"k": "A" * 1_500_000}),
     "data: Too long: may not be more than 1048576 bytes"),
    (("", "PersistentVolume"), spec(**{**VOLUME, "capacity": {}}),
     "spec.capacity: Required value"),
    (("", "PersistentVolume"), spec(**VOLUME, nfs={"server": "s", "path": "/p"}),
     "spec.nfs: Forbidden: may not specify more than 1 volume type"),
    (("", "PersistentVolumeClaim"), spec(**{**CLAIM, "accessModes": ["Never"]}),
     'spec.accessModes: Unsupported value: "Never": supported values: "ReadOnlyMany", '
     '"ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"'),
    (("", "LimitRange"), spec(limits=[{"type": "Pod", "default": {"cpu": "1"}}]),
     "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"),
    (("", "LimitRange"), spec(limits=[{"type": "Container", "min": {"cpu": "2"},
                                       "max": {"cpu": "1"}}]),
     'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1'),
    (("", "ResourceQuota"), spec(hard={"gold": "1"}),
     'spec.hard[gold]: Invalid value: "gold": must be a standard resource type or fully '
     "qualified"),
    (("", "ResourceQuota"), spec(hard={"pods": "1"}, scopes=["BestEffort", "NotBestEffort"]),
     'spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes'),
    (("policy", "PodDisruptionBudget"), spec(minAvailable=1, maxUnavailable=1),
     'spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable '
     "cannot be both set"),
    (("scheduling.k8s.io", "PriorityClass"), top(value=2_000_000_000),
     "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"),
    (("node.k8s.io", "RuntimeClass"), top(handler="A"),
     'handler: Invalid value: "A": a lowercase RFC 1123 label'),
    ((STORAGE, "StorageClass"), top(provisioner="p", reclaimPolicy="x"),
     'reclaimPolicy: Unsupported value: "x": supported values: "Delete", "Retain"'),
    ((STORAGE, "StorageClass"), top(provisioner="p", allowedTopologies=[
        {"matchLabelExpressions": [{"key": "k", "values": ["v"]}]}] * 2),
     'allowedTopologies[1].matchLabelExpressions: Duplicate value: ""'),
    ((STORAGE, "VolumeAttachment"), spec(attacher="a", nodeName="n", source={"inlineVolumeSpec": {
        "csi": {"driver": "d"}}}),
     "spec.source.inlineVolumeSpec.csi.volumeHandle: Required value"),
    (("apiregistration.k8s.io", "APIService"),
     spec(group="g", version="v1", groupPriorityMinimum=1, versionPriority=0),
     "spec.versionPriority: Invalid value: 0: must be positive and less than 1000"),
    (("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"), spec(variables=[{}]),
     "spec.variables[0].name: Required value: name is not specified"),
    (("resource.k8s.io", "DeviceClass"), spec(config=[{"opaque": {"driver": "a.b"}}]),
     "spec.config[0].opaque.parameters: Required value"),
    (("", "Service"), spec(type="LoadBalancer", ports=[{"port": 10250}]),
     "spec.ports[0]: Invalid value: 10250: may not expose port 10250 externally since it is used "
     "by kubelet"),
    ((STORAGE, "VolumeAttachment"), spec(attacher="a", nodeName="n", source={}),
     "spec.source: Required value: must specify exactly one of inlineVolumeSpec and "
     "persistentVolumeName"),
    ((RBAC, "Role"), top(rules=[{"verbs": ["get"], "resources": ["pods"]}]),
     "rules[0].apiGroups: Required value: resource rules must supply at least one api group"),
    ((RBAC, "RoleBinding"), top(roleRef={"kind": "Cat", "name": "x"}),
     'roleRef.kind: Unsupported value: "Cat": supported values: "Role", "ClusterRole"'),
    (("autoscaling", "HorizontalPodAutoscaler"),
     spec(maxReplicas=1, minReplicas=2, scaleTargetRef={"kind": "Deployment", "name": "d"}),
     "spec.maxReplicas: Invalid value: 1: must be greater than or equal to `minReplicas`"),
    (("certificates.k8s.io", "CertificateSigningRequest"),
     spec(request="", signerName="a.b/c", usages=["x"]),
     "spec.request: Required value"),
    (("resource.k8s.io", "ResourceClaim"),
     spec(devices={"requests": [{"name": "r"}]}),
     "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is "
     "required"),
    (("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
     top(webhooks=[{"name": "a.b.c", "clientConfig": {"url": "http://x"}, "sideEffects": "None",
                    "admissionReviewVersions": ["v1"]}]),
     "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL "
     "scheme; desired format: https://host[/path]"),
    (("", "Node"), spec(taints=[{"key": "k", "effect": "Maybe"}]),
     'metadata.taints[0].effect: Unsupported value: "Maybe": supported values: "NoSchedule", '
     '"PreferNoSchedule", "NoExecute"'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "body", "message"), CASES)
def test_one_wrong_thing(kind, body, message):
    found = wrong(kind, body)
    assert any(line.startswith(message) for line in found), found


CHANGES = [
    ((APPS, "Deployment"), spec(**CHOSEN),
     spec(selector={"matchLabels": {"x": "y"}}, template=TEMPLATE),
     'spec.selector: Invalid value: {"matchLabels":{"x":"y"}}: field is immutable'),
    ((APPS, "StatefulSet"), spec(**CHOSEN), spec(**CHOSEN, serviceName="s"),
     "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', "
     "'template', 'updateStrategy', 'revisionHistoryLimit', "
     "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"),
    ((APPS, "ControllerRevision"), top(data={"a": 1}), top(data={"a": 2}),
     'data: Invalid value: {"a":2}: field is immutable'),
    ((BATCH, "Job"), spec(**job()), spec(**job(completions=2)),
     "spec.completions: Invalid value: 2: field is immutable"),
    ((BATCH, "Job"), spec(**job(completionMode="Indexed")),
     spec(**job(completionMode="Indexed", completions=2)),
     "spec.completions: Invalid value: 2: can only be modified in tandem with spec.parallelism"),
    (("", "ConfigMap"), top(immutable=True, data={"a": "1"}), top(immutable=True, data={}),
     "data: Forbidden: field is immutable when `immutable` is set"),
    (("", "Secret"), top(type="a"), top(type="b"), 'type: Invalid value: "b": field is immutable'),
    (("", "PersistentVolume"), spec(**VOLUME), spec(**{**VOLUME, "hostPath": {"path": "/w"}}),
     "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after "
     "creation\n"),
    (("", "PersistentVolumeClaim"), spec(**CLAIM), spec(**CLAIM, selector={}),
     "spec: Forbidden: spec is immutable after creation except resources.requests and "
     "volumeAttributesClassName for bound claims\n"),
    (("", "ResourceQuota"), spec(hard={}), spec(hard={}, scopes=["BestEffort"]),
     'spec.scopes: Invalid value: ["BestEffort"]: field is immutable'),
    (("scheduling.k8s.io", "PriorityClass"), top(value=1), top(value=2),
     "value: Forbidden: may not be changed in an update."),
    (("node.k8s.io", "RuntimeClass"), top(handler="a"), top(handler="b"),
     'handler: Invalid value: "b": field is immutable'),
    ((STORAGE, "StorageClass"), top(provisioner="a"), top(provisioner="b"),
     "provisioner: Forbidden: updates to provisioner are forbidden."),
    ((RBAC, "RoleBinding"), top(roleRef=ROLE), top(roleRef={**ROLE, "name": "s"}),
     "roleRef: Invalid value: "),
    (("discovery.k8s.io", "EndpointSlice"), top(addressType="IPv4"), top(addressType="IPv6"),
     'addressType: Invalid value: "IPv6": field is immutable'),
    ((NET, "IngressClass"), spec(controller="a.b/c"), spec(controller="a.b/d"),
     'spec.controller: Invalid value: "a.b/d": field is immutable'),
    (("", "Node"), spec(podCIDR="10.0.0.0/24"), spec(podCIDR="10.0.1.0/24"),
     'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "old", "new", "message"), CHANGES)
def test_one_change_too_many(kind, old, new, message):
    found = changes(kind, old, new)
    assert any(line.startswith(message) for line in found), found


@pytest.mark.parametrize(
    ("status", "may"),
    [
        ({}, True),
        ({"active": 1}, False),
        ({"startTime": "2026-01-01T00:00:00Z"}, False),
        ({"startTime": "2026-01-01T00:00:00Z", "conditions": [SUSPENDED]}, True),
        ({"active": 1, "conditions": [SUSPENDED]}, False),
        ({"startTime": "2026-01-01T00:00:00Z", "conditions": [RESUMED]}, False),
    ],
)
def test_a_job_moves_while_no_pod_of_its_template_runs(status, may):
    old = {**spec(**job(suspend=True)), "status": status}
    new = copy.deepcopy(old)
    new["spec"]["template"]["spec"]["nodeSelector"] = {"zone": "a"}
    new["spec"]["suspend"] = False
    told = changes((BATCH, "Job"), old, new)
    assert [line.partition(":")[0] for line in told] == ([] if may else ["spec.template"])


def test_a_suspended_job_may_move_to_other_nodes():
    old = spec(**job(suspend=True))
    new = copy.deepcopy(old)
    new["spec"]["template"]["spec"]["nodeSelector"] = {"a": "b"}
    assert changes((BATCH, "Job"), old, new) == []
    old["spec"]["suspend"] = False
    assert changes((BATCH, "Job"), old, new)[0].startswith("spec.template: Invalid value: ")


def test_defaults_of_autoscalers_and_limits():
    body = spec(maxReplicas=2, scaleTargetRef={"kind": "Deployment", "name": "d"})
    BY_KIND["autoscaling", "HorizontalPodAutoscaler"].default(body)
    [metric] = body["spec"]["metrics"]
    assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 80}
    item = {"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}
    body = spec(limits=[item])
    BY_KIND["", "LimitRange"].default(body)
    assert item["default"] == {"cpu": "2"}
    assert item["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}


def test_a_headless_service_without_selector_may_have_both_families():
    body = spec(clusterIP="None", ports=[{"port": 80}])
    BY_KIND["", "Service"].default(body)
    assert body["spec"]["ipFamilies"] == ["IPv4", "IPv6"]
    assert body["spec"]["ipFamilyPolicy"] == "RequireDualStack"
    assert wrong(("", "Service"), body) == []


def test_what_belonged_to_a_type_goes_with_it():
    strategy = BY_KIND["", "Service"]
    old = spec(type="LoadBalancer", clusterIP="10.96.0.5", clusterIPs=["10.96.0.5"],
               ports=[{"port": 80}])  # fmt: skip
    strategy.default(old)
    new = copy.deepcopy(old)
    new["spec"].update(type="ExternalName", externalName="a.b")
    strategy.keep(new, old)
    strategy.default(new)
    assert wrong(("", "Service"), new) == []
    assert "clusterIP" not in new["spec"]


@pytest.mark.parametrize("amount", ["9" * 30, "1e300", "-" + "9" * 40, "0." + "1" * 40])
@pytest.mark.parametrize("name", ["pods", "requests.cpu", "requests.hugepages-2Mi"])
def test_amounts_of_any_size_are_judged(name, amount):
    assert isinstance(wrong(("", "ResourceQuota"), spec(hard={name: amount})), list)
