"""Which columns each kind has, by ``(group, plural)``; any other kind shows name and age."""

from pilothouse.services.apiserver.rest.tables import (
    cluster,
    network,
    pods,
    policy,
    storage,
    workloads,
)
from pilothouse.services.apiserver.rest.tables.column import Column

ADMISSION = "admissionregistration.k8s.io"
RBAC = "rbac.authorization.k8s.io"
STORAGE = "storage.k8s.io"

COLUMNS: dict[tuple[str, str], tuple[Column, ...]] = {
    ("", "pods"): pods.COLUMNS,
    ("", "podtemplates"): workloads.POD_TEMPLATES,
    ("", "replicationcontrollers"): workloads.REPLICATION_CONTROLLERS,
    ("", "services"): network.SERVICES,
    ("", "endpoints"): network.ENDPOINTS,
    ("", "nodes"): cluster.NODES,
    ("", "namespaces"): cluster.NAMESPACES,
    ("", "events"): cluster.EVENTS,
    ("events.k8s.io", "events"): cluster.EVENTS,
    ("", "configmaps"): cluster.CONFIG_MAPS,
    ("", "secrets"): cluster.SECRETS,
    ("", "serviceaccounts"): cluster.SERVICE_ACCOUNTS,
    ("", "limitranges"): cluster.LIMIT_RANGES,
    ("", "resourcequotas"): cluster.RESOURCE_QUOTAS,
    ("", "componentstatuses"): cluster.COMPONENT_STATUSES,
    ("", "persistentvolumes"): storage.PERSISTENT_VOLUMES,
    ("", "persistentvolumeclaims"): storage.PERSISTENT_VOLUME_CLAIMS,
    ("apps", "deployments"): workloads.DEPLOYMENTS,
    ("apps", "replicasets"): workloads.REPLICA_SETS,
    ("apps", "statefulsets"): workloads.STATEFUL_SETS,
    ("apps", "daemonsets"): workloads.DAEMON_SETS,
    ("apps", "controllerrevisions"): workloads.CONTROLLER_REVISIONS,
    ("batch", "jobs"): workloads.JOBS,
    ("batch", "cronjobs"): workloads.CRON_JOBS,
    ("autoscaling", "horizontalpodautoscalers"): workloads.HORIZONTAL_POD_AUTOSCALERS,
    ("autoscaling", "scale"): workloads.SCALES,
    ("policy", "poddisruptionbudgets"): workloads.POD_DISRUPTION_BUDGETS,
    ("discovery.k8s.io", "endpointslices"): network.ENDPOINT_SLICES,
    ("networking.k8s.io", "ingresses"): network.INGRESSES,
    ("networking.k8s.io", "ingressclasses"): network.INGRESS_CLASSES,
    ("networking.k8s.io", "networkpolicies"): network.NETWORK_POLICIES,
    ("networking.k8s.io", "ipaddresses"): network.IP_ADDRESSES,
    ("networking.k8s.io", "servicecidrs"): network.SERVICE_CIDRS,
    ("coordination.k8s.io", "leases"): cluster.LEASES,
    (RBAC, "roles"): policy.ROLES,
    (RBAC, "clusterroles"): policy.ROLES,
    (RBAC, "rolebindings"): policy.BINDINGS,
    (RBAC, "clusterrolebindings"): policy.BINDINGS,
    (STORAGE, "storageclasses"): storage.STORAGE_CLASSES,
    (STORAGE, "volumeattributesclasses"): storage.VOLUME_ATTRIBUTES_CLASSES,
    (STORAGE, "volumeattachments"): storage.VOLUME_ATTACHMENTS,
    (STORAGE, "csinodes"): storage.CSI_NODES,
    (STORAGE, "csidrivers"): storage.CSI_DRIVERS,
    (STORAGE, "csistoragecapacities"): storage.CSI_STORAGE_CAPACITIES,
    ("scheduling.k8s.io", "priorityclasses"): cluster.PRIORITY_CLASSES,
    ("node.k8s.io", "runtimeclasses"): cluster.RUNTIME_CLASSES,
    ("certificates.k8s.io", "certificatesigningrequests"): policy.CERTIFICATE_SIGNING_REQUESTS,
    ("apiextensions.k8s.io", "customresourcedefinitions"): policy.CUSTOM_RESOURCE_DEFINITIONS,
    ("apiregistration.k8s.io", "apiservices"): policy.API_SERVICES,
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): policy.FLOW_SCHEMAS,
    (
        "flowcontrol.apiserver.k8s.io",
        "prioritylevelconfigurations",
    ): policy.PRIORITY_LEVEL_CONFIGURATIONS,
    (ADMISSION, "mutatingwebhookconfigurations"): policy.WEBHOOK_CONFIGURATIONS,
    (ADMISSION, "validatingwebhookconfigurations"): policy.WEBHOOK_CONFIGURATIONS,
    (ADMISSION, "validatingadmissionpolicies"): policy.VALIDATING_POLICIES,
    (ADMISSION, "validatingadmissionpolicybindings"): policy.POLICY_BINDINGS,
    (ADMISSION, "mutatingadmissionpolicies"): policy.MUTATING_POLICIES,
    (ADMISSION, "mutatingadmissionpolicybindings"): policy.POLICY_BINDINGS,
    ("resource.k8s.io", "resourceclaims"): policy.CLAIMS,
    ("resource.k8s.io", "resourceslices"): policy.RESOURCE_SLICES,
}


def columns_of(group: str, plural: str) -> tuple[Column, ...]:
    """The columns of a kind."""
    return COLUMNS.get((group, plural), policy.NAMED)
