"""What writers are told of what is allowed."""

import copy

import pytest

from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.strategies import every, warnings

CATALOG = builtin_catalog()
C = {"name": "c", "image": "i"}
NO_SELECTOR = "a null labelSelector results in matching no pod"


def told(group, version, plural, body, old=None):
    kind = CATALOG.lookup(group, version, plural)
    body = copy.deepcopy(body)
    every.of(kind).default(body)
    return warnings.of(kind, body, old)


def pod(name="n", annotations=None, **spec):
    metadata = {"name": name, "annotations": annotations or {}}
    return {"metadata": metadata, "spec": {"containers": [C], **spec}}


def with_container(**fields):
    return pod(containers=[{**C, **fields}])


TERM = {"topologyKey": "k"}
PODS = [
    (pod(), []),
    (pod("a.b"), ["metadata.name: this is used in the Pod's hostname, which can result in "
                  "surprising behavior; a DNS label is recommended: [must not contain dots]"]),
    (pod(nodeSelector={"beta.kubernetes.io/os": "linux"}),
     ["spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "
      '"kubernetes.io/os" instead']),
    (pod(topologySpreadConstraints=[{"topologyKey": "failure-domain.beta.kubernetes.io/zone"}]),
     ["spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone is "
      'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
      f"spec.topologySpreadConstraints[0].labelSelector: {NO_SELECTOR}"]),
    (pod(annotations={"security.alpha.kubernetes.io/sysctls": "x"}),
     ["metadata.annotations[security.alpha.kubernetes.io/sysctls]: non-functional in v1.11+; use "
      'the "sysctls" field instead']),
    (pod(volumes=[{"name": "a", "gitRepo": {}}, {"name": "b", "glusterfs": {}}]),
     ["spec.volumes[0].gitRepo: deprecated in v1.11",
      "spec.volumes[1].glusterfs: deprecated in v1.25, non-functional in v1.26+"]),
    (pod(volumes=[{"name": "a", "projected": {"sources": [
        {"serviceAccountToken": {"path": "t"}}, {"secret": {"items": [{"path": "t"}]}}]}}]),
     ["spec.volumes[0].projected.sources.secrets[0]: has duplicated path with "
      'ServiceAccountToken "t"']),
    (pod(imagePullSecrets=[{"name": "a"}, {"name": "a"}, {}]),
     ['spec.imagePullSecrets[1].name: duplicate name "a"',
      'spec.imagePullSecrets[2].name: invalid empty name ""']),
    (with_container(resources={"limits": {"memory": "100m"}}),
     [f'spec.containers[0].resources.{member}[memory]: fractional byte value "100m" is invalid, '
      "must be an integer" for member in ("limits", "requests")]),
    (with_container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"},
                         {"name": "A", "value": "$(A)3"}]),
     ['spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when '
      "using apply"]),
    (with_container(ports=[{"containerPort": 80}, {"containerPort": 80},
                           {"containerPort": 81, "hostIP": "1.2.3.4"}]),
     ["spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
      "spec.containers[0].ports[2]: hostIP set without hostPort: {Name: HostPort:0 "
      "ContainerPort:81 Protocol:TCP HostIP:1.2.3.4}"]),
    (pod(terminationGracePeriodSeconds=-1),
     ["spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be "
      "treated as 1"]),
    (pod(affinity={"podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [TERM],
        "preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": TERM}]}}),
     ["spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]"
      f".labelSelector: {NO_SELECTOR}",
      "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]"
      f".podAffinityTerm.labelSelector: {NO_SELECTOR}"]),
]  # fmt: skip


@pytest.mark.parametrize(("body", "lines"), PODS)
def test_of_pods(body, lines):
    assert told("", "v1", "pods", body) == lines


def test_nobody_is_told_of_a_pod_that_changes():
    assert told("", "v1", "pods", pod("a.b"), pod("a.b")) == []


def test_of_templates_only_when_they_change():
    body = {
        "metadata": {"name": "a.b"},
        "spec": {"template": pod(hostAliases=[{"ip": "1.1.1.1"}] * 2)},
    }
    assert told("apps", "v1", "deployments", body) == [
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising "
        "behavior; a DNS label is recommended: [must not contain dots]",
        'spec.template.spec.hostAliases[1].ip: duplicate ip "1.1.1.1"',
    ]
    old = copy.deepcopy(body)
    every.of(CATALOG.lookup("apps", "v1", "deployments")).default(old)
    assert told("apps", "v1", "deployments", body, old) == []


def named(**fields):
    return {"metadata": {"name": "n", "annotations": fields.pop("annotations", {})}, **fields}


OTHERS = [
    ("", "v1", "services",
     named(spec={"ports": [{"port": 1}], "externalIPs": ["2001:DB8::1"], "externalName": "x",
                 "trafficDistribution": "PreferClose"}),
     ['spec.externalIPs[0]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format '
      '("2001:db8::1")',
      "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
      'spec.externalName is ignored when spec.type is not "ExternalName"',
      'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"']),
    ("", "v1", "services",
     named(spec={"clusterIP": "None", "sessionAffinity": "ClientIP"}),
     ["spec.SessionAffinity is ignored for headless services"]),
    ("networking.k8s.io", "v1", "ingresses",
     named(annotations={"kubernetes.io/ingress.class": "x"}, spec={}),
     ['annotation "kubernetes.io/ingress.class" is deprecated, please use '
      "'spec.ingressClassName' instead"]),
    ("", "v1", "persistentvolumes", named(spec={"persistentVolumeReclaimPolicy": "Recycle"}),
     ["spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the "
      "recommended approach is to use dynamic provisioning."]),
    ("", "v1", "serviceaccounts",
     named(annotations={"kubernetes.io/enforce-mountable-secrets": "true"}),
     ["metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; "
      "prefer separate namespaces to isolate access to mounted secrets"]),
    ("apps", "v1", "statefulsets", named(spec={"revisionHistoryLimit": -1}),
     ["spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 "
      "is recommended"]),
    ("", "v1", "configmaps", named(), []),
]  # fmt: skip


@pytest.mark.parametrize(("group", "version", "plural", "body", "lines"), OTHERS)
def test_of_other_kinds(group, version, plural, body, lines):
    assert told(group, version, plural, body) == lines
