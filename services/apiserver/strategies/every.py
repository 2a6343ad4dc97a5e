"""The strategy of each kind; a kind not named here has the generic one."""

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.strategies import (
    cluster,
    configuration,
    custom,
    definitions,
    events,
)
from pilothouse.services.apiserver.strategies.govern import (
    admissionregistration,
    apiservices,
    budgets,
    certificates,
    flowcontrol,
    rbac,
)
from pilothouse.services.apiserver.strategies.network import endpoints, networking, services
from pilothouse.services.apiserver.strategies.pod import pod_defaults, pod_rules, pods
from pilothouse.services.apiserver.strategies.stored import devices, storage, storage_classes
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy
from pilothouse.services.apiserver.strategies.workload import (
    autoscalers,
    batch,
    cronjobs,
    statefulsets,
    workloads,
)
from pilothouse.services.machinery.errors import Cause

GENERIC = Strategy()
_CERTIFICATES = "certificates.k8s.io"


def _check_pod_template(body: Body) -> list[Cause]:
    return pod_rules.check_template(body.get("template") or {}, "template")


def _default_pod_template(body: Body) -> None:
    pod_defaults.default_template(body.setdefault("template", {}))


BY_KIND: dict[tuple[str, str], Strategy] = {
    ("", "Pod"): pods.STRATEGY,
    ("", "PodTemplate"): Strategy(default=_default_pod_template, check=_check_pod_template),
    ("", "ReplicationController"): workloads.REPLICATION_CONTROLLER,
    ("", "Service"): services.STRATEGY,
    ("", "Endpoints"): endpoints.ENDPOINTS,
    ("", "Namespace"): cluster.NAMESPACE,
    ("", "Node"): cluster.NODE,
    ("", "Secret"): configuration.SECRET,
    ("", "ConfigMap"): configuration.CONFIG_MAP,
    ("", "PersistentVolume"): storage.PERSISTENT_VOLUME,
    ("", "PersistentVolumeClaim"): storage.PERSISTENT_VOLUME_CLAIM,
    ("apps", "Deployment"): workloads.DEPLOYMENT,
    ("apps", "ReplicaSet"): workloads.REPLICA_SET,
    ("apps", "StatefulSet"): statefulsets.STATEFUL_SET,
    ("apps", "DaemonSet"): workloads.DAEMON_SET,
    ("apps", "ControllerRevision"): statefulsets.CONTROLLER_REVISION,
    ("batch", "Job"): batch.JOB,
    ("batch", "CronJob"): cronjobs.CRON_JOB,
    ("apiregistration.k8s.io", "APIService"): apiservices.API_SERVICE,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): definitions.STRATEGY,
    ("coordination.k8s.io", "Lease"): cluster.LEASE,
    ("discovery.k8s.io", "EndpointSlice"): endpoints.ENDPOINT_SLICE,
    ("scheduling.k8s.io", "PriorityClass"): cluster.PRIORITY_CLASS,
    ("autoscaling", "HorizontalPodAutoscaler"): autoscalers.AUTOSCALER,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): flowcontrol.SCHEMA,
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): flowcontrol.LEVEL,
    ("", "Event"): events.EVENT,
    ("events.k8s.io", "Event"): events.NEW_EVENT,
    ("", "LimitRange"): budgets.LIMIT_RANGE,
    ("", "ResourceQuota"): budgets.RESOURCE_QUOTA,
    ("policy", "PodDisruptionBudget"): budgets.DISRUPTION_BUDGET,
    ("node.k8s.io", "RuntimeClass"): cluster.RUNTIME_CLASS,
    (_CERTIFICATES, "CertificateSigningRequest"): certificates.CERTIFICATE_SIGNING_REQUEST,
    (_CERTIFICATES, "ClusterTrustBundle"): certificates.TRUST_BUNDLE,
    (_CERTIFICATES, "PodCertificateRequest"): certificates.POD_CERTIFICATE_REQUEST,
}
for _group, _kinds in (
    ("admissionregistration.k8s.io", admissionregistration.BY_KIND),
    ("networking.k8s.io", networking.BY_KIND),
    ("rbac.authorization.k8s.io", rbac.BY_KIND),
    ("resource.k8s.io", devices.BY_KIND),
    ("storage.k8s.io", storage_classes.BY_KIND),
):
    BY_KIND.update({(_group, _kind): _strategy for _kind, _strategy in _kinds.items()})


def of(kind: Kind) -> Strategy:
    """The strategy of a kind."""
    if kind.custom is not None:
        return custom.of(kind.custom.treatment)
    return BY_KIND.get((kind.group, kind.kind), GENERIC)


def judges(kind: Kind) -> bool:
    """Whether a kind has rules that know all its fields."""
    return (kind.group, kind.kind) in BY_KIND
