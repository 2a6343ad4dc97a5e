"""The strategy of each kind; a kind not named here has the generic one."""

from pilothouse.services.apiserver.kinds.kind import Kind
from pilothouse.services.apiserver.strategies import (
    batch,
    cluster,
    configuration,
    custom,
    definitions,
    cronjobs,
    endpoints,
    flowcontrol,
    pod_defaults,
    pod_rules,
    pods,
    services,
    statefulsets,
    workloads,
)
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

GENERIC = Strategy()
_RBAC = "rbac.authorization.k8s.io"


def _check_pod_template(body: Body) -> list[Cause]:
    return pod_rules.check_template(body.get("template") or {}, "template")


def _default_pod_template(body: Body) -> None:
    pod_defaults.default_template(body.setdefault("template", {}))


BY_KIND: dict[tuple[str, str], Strategy] = {
    ("", "Pod"): pods.STRATEGY,
    ("", "PodTemplate"): Strategy(default=_default_pod_template, check=_check_pod_template),
    ("", "ReplicationController"): workloads.REPLICATION_CONTROLLER,
    ("", "Service"): services.STRATEGY,
    ("", "Endpoints"): endpoints.STRATEGY,
    ("", "Namespace"): cluster.NAMESPACE,
    ("", "Node"): cluster.NODE,
    ("", "Secret"): configuration.SECRET,
    ("", "ConfigMap"): configuration.CONFIG_MAP,
    ("", "PersistentVolume"): cluster.PERSISTENT_VOLUME,
    ("", "PersistentVolumeClaim"): cluster.PERSISTENT_VOLUME_CLAIM,
    ("apps", "Deployment"): workloads.DEPLOYMENT,
    ("apps", "ReplicaSet"): workloads.REPLICA_SET,
    ("apps", "StatefulSet"): statefulsets.STATEFUL_SET,
    ("apps", "DaemonSet"): workloads.DAEMON_SET,
    ("apps", "ControllerRevision"): statefulsets.CONTROLLER_REVISION,
    ("batch", "Job"): batch.JOB,
    ("batch", "CronJob"): cronjobs.CRON_JOB,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): definitions.STRATEGY,
    ("coordination.k8s.io", "Lease"): cluster.LEASE,
    ("discovery.k8s.io", "EndpointSlice"): cluster.ENDPOINT_SLICE,
    ("scheduling.k8s.io", "PriorityClass"): cluster.PRIORITY_CLASS,
    ("storage.k8s.io", "StorageClass"): cluster.STORAGE_CLASS,
    ("autoscaling", "HorizontalPodAutoscaler"): cluster.AUTOSCALER,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): flowcontrol.SCHEMA,
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): flowcontrol.LEVEL,
    # Named after their signer: example.com:mine:first.
    ("certificates.k8s.io", "ClusterTrustBundle"): Strategy(name=names.path_segment),
    (_RBAC, "Role"): cluster.ROLE,
    (_RBAC, "ClusterRole"): cluster.ROLE,
    (_RBAC, "RoleBinding"): cluster.ROLE_BINDING,
    (_RBAC, "ClusterRoleBinding"): cluster.ROLE_BINDING,
}


def of(kind: Kind) -> Strategy:
    """The strategy of a kind."""
    if kind.custom is not None:
        return custom.of(kind.custom.treatment)
    return BY_KIND.get((kind.group, kind.kind), GENERIC)
