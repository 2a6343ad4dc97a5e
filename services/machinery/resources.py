"""Names of the kinds that our own components read and write.

The API server serves every built-in kind from data; these constants are only how the others
spell their requests.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as REST names it: group (empty for core), version, plural; and its Kind."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


PODS = Resource("", "v1", "pods", "Pod")
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
SERVICES = Resource("", "v1", "services", "Service")
ENDPOINTS = Resource("", "v1", "endpoints", "Endpoints")
EVENTS = Resource("", "v1", "events", "Event")
SECRETS = Resource("", "v1", "secrets", "Secret")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
REPLICATION_CONTROLLERS = Resource("", "v1", "replicationcontrollers", "ReplicationController")
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
DAEMON_SETS = Resource("apps", "v1", "daemonsets", "DaemonSet")
CONTROLLER_REVISIONS = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
POD_DISRUPTION_BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
PERSISTENT_VOLUME_CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
PERSISTENT_VOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
VOLUME_ATTRIBUTES_CLASSES = Resource(
    "storage.k8s.io",
    "v1",
    "volumeattributesclasses",
    "VolumeAttributesClass",
    namespaced=False,
)
STORAGE_CLASSES = Resource(
    "storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False
)
CSI_DRIVERS = Resource("storage.k8s.io", "v1", "csidrivers", "CSIDriver", namespaced=False)
CSI_NODES = Resource("storage.k8s.io", "v1", "csinodes", "CSINode", namespaced=False)
VOLUME_ATTACHMENTS = Resource(
    "storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", namespaced=False
)
HORIZONTAL_POD_AUTOSCALERS = Resource(
    "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"
)
STORAGE_VERSION_MIGRATIONS = Resource(
    "storagemigration.k8s.io",
    "v1",
    "storageversionmigrations",
    "StorageVersionMigration",
    namespaced=False,
)
VALIDATING_ADMISSION_POLICIES = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicies",
    "ValidatingAdmissionPolicy",
    namespaced=False,
)
JOBS = Resource("batch", "v1", "jobs", "Job")
CRON_JOBS = Resource("batch", "v1", "cronjobs", "CronJob")
SERVICE_CIDRS = Resource("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", namespaced=False)
IP_ADDRESSES = Resource("networking.k8s.io", "v1", "ipaddresses", "IPAddress", namespaced=False)
CLUSTER_ROLES = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False
)
CERTIFICATE_SIGNING_REQUESTS = Resource(
    "certificates.k8s.io",
    "v1",
    "certificatesigningrequests",
    "CertificateSigningRequest",
    namespaced=False,
)
CLUSTER_TRUST_BUNDLES = Resource(
    "certificates.k8s.io", "v1", "clustertrustbundles", "ClusterTrustBundle", namespaced=False
)
POD_CERTIFICATE_REQUESTS = Resource(
    "certificates.k8s.io", "v1", "podcertificaterequests", "PodCertificateRequest"
)
SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)
TOKEN_REVIEWS = Resource(
    "authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False
)
RUNTIME_CLASSES = Resource("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", namespaced=False)
RESOURCE_CLAIMS = Resource("resource.k8s.io", "v1", "resourceclaims", "ResourceClaim")
RESOURCE_CLAIM_TEMPLATES = Resource(
    "resource.k8s.io", "v1", "resourceclaimtemplates", "ResourceClaimTemplate"
)
RESOURCE_SLICES = Resource(
    "resource.k8s.io", "v1", "resourceslices", "ResourceSlice", namespaced=False
)
DEVICE_TAINT_RULES = Resource(
    "resource.k8s.io", "v1", "devicetaintrules", "DeviceTaintRule", namespaced=False
)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")

_OTHERS = """
v1: LimitRange PersistentVolumeClaim PodTemplate ResourceQuota
apps/v1: ControllerRevision DaemonSet StatefulSet
autoscaling/v2: HorizontalPodAutoscaler
batch/v1: CronJob Job
certificates.k8s.io/v1: PodCertificateRequest
networking.k8s.io/v1: Ingress=ingresses NetworkPolicy=networkpolicies
policy/v1: PodDisruptionBudget
rbac.authorization.k8s.io/v1: RoleBinding Role
storage.k8s.io/v1: CSIStorageCapacity=csistoragecapacities
resource.k8s.io/v1: ResourceClaim ResourceClaimTemplate
"""
_CLUSTER_OTHERS = """
v1: PersistentVolume
admissionregistration.k8s.io/v1: MutatingWebhookConfiguration ValidatingWebhookConfiguration
admissionregistration.k8s.io/v1: MutatingAdmissionPolicy=mutatingadmissionpolicies
admissionregistration.k8s.io/v1: MutatingAdmissionPolicyBinding ValidatingAdmissionPolicyBinding
admissionregistration.k8s.io/v1: ValidatingAdmissionPolicy=validatingadmissionpolicies
apiextensions.k8s.io/v1: CustomResourceDefinition
apiregistration.k8s.io/v1: APIService
certificates.k8s.io/v1: CertificateSigningRequest
certificates.k8s.io/v1: ClusterTrustBundle
flowcontrol.apiserver.k8s.io/v1: FlowSchema PriorityLevelConfiguration
networking.k8s.io/v1: IPAddress=ipaddresses IngressClass=ingressclasses ServiceCIDR
node.k8s.io/v1: RuntimeClass=runtimeclasses
rbac.authorization.k8s.io/v1: ClusterRoleBinding ClusterRole
resource.k8s.io/v1: DeviceClass=deviceclasses DeviceTaintRule ResourceSlice
scheduling.k8s.io/v1: PriorityClass=priorityclasses
storage.k8s.io/v1: CSIDriver CSINode StorageClass=storageclasses VolumeAttachment
storage.k8s.io/v1: VolumeAttributesClass=volumeattributesclasses
storagemigration.k8s.io/v1: StorageVersionMigration
"""


def _read(table: str, *, namespaced: bool) -> tuple[Resource, ...]:
    """A line is a group version and its kinds, with the plural where it is not ``kinds``."""
    found = []
    for line in table.split("\n"):
        place, _, kinds = line.partition(": ")
        group, _, version = place.rpartition("/")
        for word in kinds.split():
            kind, _, plural = word.partition("=")
            named = plural or f"{kind.lower()}s"
            found.append(Resource(group, version, named, kind, namespaced=namespaced))
    return tuple(found)


NAMESPACED: tuple[Resource, ...] = (
    PODS, REPLICA_SETS, DEPLOYMENTS, REPLICATION_CONTROLLERS, SERVICES, ENDPOINTS,
    ENDPOINT_SLICES, SECRETS, CONFIG_MAPS, SERVICE_ACCOUNTS, LEASES, EVENTS,
    *_read(_OTHERS, namespaced=True),
)  # fmt: skip
"""Every stable kind whose objects live in a namespace and are stored."""

CLUSTER_SCOPED: tuple[Resource, ...] = (
    NODES,
    NAMESPACES,
    *_read(_CLUSTER_OTHERS, namespaced=False),
)
"""The stable cluster-scoped kinds that own things or are owned."""
