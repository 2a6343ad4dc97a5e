"""The cluster roles and bindings that a cluster is born with, as data under upstream's names."""

from collections.abc import Iterable
from typing import Any

from pilothouse.services.apiserver.requests import Target

GROUP = "rbac.authorization.k8s.io"
VERSION = "v1"

READ = "get list watch"
WRITE = "create delete deletecollection patch update"
EVENTS = ("create patch update", "'' events.k8s.io", "events")
REVIEWS = (
    ("create", "authentication.k8s.io", "tokenreviews"),
    ("create", "authorization.k8s.io", "subjectaccessreviews"),
)

SIGNERS = (
    "kubernetes.io/kube-apiserver-client",
    "kubernetes.io/kube-apiserver-client-kubelet",
    "kubernetes.io/kubelet-serving",
    "kubernetes.io/legacy-unknown",
)

# A rule is (verbs, groups, resources), words apart; '' is the core group, and a third part that
# begins with "/" lists paths instead. Names of single objects follow as a fourth part.
RuleText = tuple[str, ...]

_NAMESPACED_VIEW: tuple[RuleText, ...] = (
    (READ, "''", "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
     "replicationcontrollers replicationcontrollers/scale serviceaccounts services "
     "services/status"),
    (READ, "''", "bindings events limitranges namespaces/status pods/log pods/status "
     "replicationcontrollers/status resourcequotas resourcequotas/status"),
    (READ, "''", "namespaces"),
    (READ, "discovery.k8s.io", "endpointslices"),
    (READ, "apps", "controllerrevisions daemonsets daemonsets/status deployments "
     "deployments/scale deployments/status replicasets replicasets/scale replicasets/status "
     "statefulsets statefulsets/scale statefulsets/status"),
    (READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    (READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    (READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    (READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    (READ, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
)  # fmt: skip

_NAMESPACED_EDIT: tuple[RuleText, ...] = (
    (READ, "''", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    ("impersonate", "''", "serviceaccounts"),
    (WRITE, "''", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    ("create", "''", "pods/eviction serviceaccounts/token"),
    (WRITE, "''", "configmaps events persistentvolumeclaims replicationcontrollers "
     "replicationcontrollers/scale secrets serviceaccounts services services/proxy"),
    (WRITE, "apps", "daemonsets deployments deployments/rollback deployments/scale replicasets "
     "replicasets/scale statefulsets statefulsets/scale"),
    (WRITE, "autoscaling", "horizontalpodautoscalers"),
    (WRITE, "batch", "cronjobs jobs"),
    (WRITE, "policy", "poddisruptionbudgets"),
    (WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    (WRITE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
    (f"{READ} {WRITE}", "coordination.k8s.io", "leases"),
)  # fmt: skip

_NAMESPACED_ADMIN: tuple[RuleText, ...] = (
    ("create", "authorization.k8s.io", "localsubjectaccessreviews"),
    (f"{READ} {WRITE}", GROUP, "rolebindings roles"),
)

_SCHEDULER: tuple[RuleText, ...] = (
    EVENTS,
    (f"{READ} create patch update", "coordination.k8s.io", "leases"),
    (READ, "''", "namespaces nodes persistentvolumes replicationcontrollers services"),
    (f"{READ} delete", "''", "pods"),
    ("create", "''", "bindings pods/binding"),
    ("patch update", "''", "pods/status"),
    (f"{READ} patch update", "''", "persistentvolumeclaims persistentvolumes"),
    (READ, "apps", "replicasets statefulsets"),
    (READ, "policy", "poddisruptionbudgets"),
    (READ, "storage.k8s.io", "csidrivers csinodes csistoragecapacities storageclasses "
     "volumeattachments"),
    (READ, "scheduling.k8s.io", "priorityclasses"),
    (READ, "resource.k8s.io", "deviceclasses resourceclaims resourceslices"),
    *REVIEWS,
)  # fmt: skip

# All loops run in one process here, so this is the union of upstream's one role per controller.
# The second and third rule are the garbage collector's and the namespace controller's.
_CONTROLLERS: tuple[RuleText, ...] = (
    EVENTS,
    (READ, "*", "*"),
    ("delete deletecollection patch update", "*", "*"),
    ("create", "''", "configmaps endpoints persistentvolumeclaims persistentvolumes pods "
     "pods/eviction secrets serviceaccounts serviceaccounts/token"),
    ("create", "apps", "controllerrevisions replicasets"),
    ("create", "batch", "jobs"),
    ("create", "discovery.k8s.io", "endpointslices"),
    ("create", "coordination.k8s.io", "leases"),
    ("create", "storage.k8s.io", "volumeattachments"),
    ("create", "resource.k8s.io", "resourceclaims"),
    ("approve", "certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-client-kubelet"),
    ("sign", "certificates.k8s.io", "signers", *SIGNERS),
    ("create", "certificates.k8s.io", "clustertrustbundles"),
    ("attest", "certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-serving"),
    ("escalate", GROUP, "clusterroles"),
    *REVIEWS,
)  # fmt: skip

_PROXY: tuple[RuleText, ...] = (
    EVENTS,
    (READ, "''", "endpoints nodes services"),
    (READ, "discovery.k8s.io", "endpointslices"),
    (READ, "networking.k8s.io", "servicecidrs"),
)

# Kubelets are judged by the node authorizer; the role is here for those who bind it themselves.
_NODE: tuple[RuleText, ...] = (
    *REVIEWS,
    (READ, "''", "services"),
    ("create get list watch", "''", "nodes"),
    ("patch update", "''", "nodes nodes/status"),
    EVENTS,
    (READ, "''", "pods"),
    ("create delete", "''", "pods"),
    ("patch update", "''", "pods/status"),
    ("create", "''", "pods/eviction serviceaccounts/token"),
    (READ, "''", "configmaps secrets"),
    ("get", "''", "persistentvolumeclaims persistentvolumes"),
    ("create delete get patch update", "coordination.k8s.io", "leases"),
    (READ, "storage.k8s.io", "csidrivers volumeattachments"),
    ("create delete get patch update", "storage.k8s.io", "csinodes"),
    (READ, "node.k8s.io", "runtimeclasses"),
)

_PUBLIC_PATHS = "/healthz /livez /readyz /version /version/"

CLUSTER_ROLES: dict[str, tuple[RuleText, ...]] = {
    "cluster-admin": (("*", "*", "*"), ("*", "", "/*")),
    "admin": (*_NAMESPACED_EDIT, *_NAMESPACED_VIEW, *_NAMESPACED_ADMIN),
    "edit": (*_NAMESPACED_EDIT, *_NAMESPACED_VIEW),
    "view": _NAMESPACED_VIEW,
    "system:aggregate-to-admin": _NAMESPACED_ADMIN,
    "system:aggregate-to-edit": _NAMESPACED_EDIT,
    "system:aggregate-to-view": _NAMESPACED_VIEW,
    "system:discovery": (
        ("get", "", "/api /api/* /apis /apis/* /openapi /openapi/* " + _PUBLIC_PATHS),
    ),
    "system:monitoring": (
        ("get", "", "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*"),
    ),
    "system:basic-user": (
        ("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
        ("create", "authentication.k8s.io", "selfsubjectreviews"),
    ),
    "system:public-info-viewer": (("get", "", _PUBLIC_PATHS),),
    "system:kube-scheduler": _SCHEDULER,
    "system:kube-controller-manager": _CONTROLLERS,
    "system:node-proxier": _PROXY,
    "system:node": _NODE,
    "system:auth-delegator": REVIEWS,
    "system:node-bootstrapper": (
        ("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
    ),
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": (
        ("create", "certificates.k8s.io", "certificatesigningrequests/nodeclient"),
    ),
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": (
        ("create", "certificates.k8s.io", "certificatesigningrequests/selfnodeclient"),
    ),
    **{
        f"system:certificates.k8s.io:{signer.partition('/')[2]}-approver": (
            ("approve", "certificates.k8s.io", "signers", signer),
        )
        for signer in SIGNERS
    },
    "system:kube-dns": ((READ, "''", "endpoints services"),),
    "system:kubelet-api-admin": (
        (READ, "''", "nodes"),
        ("proxy", "''", "nodes"),
        ("*", "''", "nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy "
         "nodes/stats"),
    ),
    "system:node-problem-detector": (
        ("get", "''", "nodes"),
        ("patch", "''", "nodes/status"),
        EVENTS,
    ),
    "system:volume-scheduler": (
        (READ + " patch update", "''", "persistentvolumeclaims persistentvolumes"),
        (READ, "storage.k8s.io", "storageclasses"),
    ),
    "system:persistent-volume-provisioner": (
        ("create delete get list watch", "''", "persistentvolumes"),
        ("get list update watch", "''", "persistentvolumeclaims"),
        (READ, "storage.k8s.io", "storageclasses"),
        ("watch", "''", "events"),
        EVENTS,
    ),
    "system:service-account-issuer-discovery": (
        ("get", "", "/.well-known/openid-configuration /.well-known/openid-configuration/ "
         "/openid/v1/jwks /openid/v1/jwks/"),
    ),
}  # fmt: skip

_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
# What an aggregated role is made of: the label of its parts, and of what it is a part itself.
_AGGREGATED = {"admin": "", "edit": "admin", "view": "edit"}

# Role, and who has it as "User/…" or "Group/…".
CLUSTER_ROLE_BINDINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "cluster-admin": ("cluster-admin", ("Group/system:masters",)),
    "system:discovery": ("system:discovery", ("Group/system:authenticated",)),
    "system:basic-user": ("system:basic-user", ("Group/system:authenticated",)),
    "system:public-info-viewer": (
        "system:public-info-viewer",
        ("Group/system:authenticated", "Group/system:unauthenticated"),
    ),
    "system:monitoring": ("system:monitoring", ("Group/system:monitoring",)),
    "system:kube-scheduler": ("system:kube-scheduler", ("User/system:kube-scheduler",)),
    "system:kube-controller-manager": (
        "system:kube-controller-manager",
        ("User/system:kube-controller-manager",),
    ),
    "system:node-proxier": (
        "system:node-proxier",
        ("User/system:kube-proxy", "Group/system:node-proxier"),
    ),
    "system:node": ("system:node", ()),
    "system:volume-scheduler": ("system:volume-scheduler", ("User/system:kube-scheduler",)),
    "system:service-account-issuer-discovery": (
        "system:service-account-issuer-discovery",
        ("Group/system:serviceaccounts",),
    ),
}


def bootstrap_objects() -> list[tuple[Target, dict[str, Any]]]:
    """What to create where it is absent; an object that is there is left as it is."""
    roles = [_role(name, rules) for name, rules in CLUSTER_ROLES.items()]
    bindings = [
        _object("ClusterRoleBinding", name, _binding(role, subjects))
        for name, (role, subjects) in CLUSTER_ROLE_BINDINGS.items()
    ]
    return roles + bindings


def _role(name: str, rules: Iterable[RuleText]) -> tuple[Target, dict[str, Any]]:
    """Aggregated roles have their rules from the first moment on, a controller keeps them so."""
    content: dict[str, Any] = {"rules": [_rule(rule) for rule in rules]}
    if name in _AGGREGATED:
        chosen = {"matchLabels": {f"{_AGGREGATE}{name}": "true"}}
        content["aggregationRule"] = {"clusterRoleSelectors": [chosen]}
    target, made = _object("ClusterRole", name, content)
    part_of = _AGGREGATED.get(name) or name.partition("system:aggregate-to-")[2]
    if part_of:
        made["metadata"]["labels"][f"{_AGGREGATE}{part_of}"] = "true"
    return target, made


def _object(kind: str, name: str, content: dict[str, Any]) -> tuple[Target, dict[str, Any]]:
    target = Target(GROUP, VERSION, kind.lower() + "s")
    metadata = {
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    }
    return target, {
        "apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": metadata, **content,
    }  # fmt: skip


def _rule(text: RuleText) -> dict[str, Any]:
    verbs, groups, what, *names = text
    if what.startswith("/") or not groups:
        paths = ["*"] if what == "/*" else what.split()
        return {"verbs": verbs.split(), "nonResourceURLs": paths}
    rule: dict[str, Any] = {
        "verbs": verbs.split(),
        "apiGroups": [word.strip("'") for word in groups.split()],
        "resources": what.split(),
    }
    if names:
        rule["resourceNames"] = list(names)
    return rule


def _binding(role: str, subjects: Iterable[str]) -> dict[str, Any]:
    listed = [subject.partition("/") for subject in subjects]
    binding: dict[str, Any] = {"roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role}}
    if listed:
        binding["subjects"] = [
            {"apiGroup": GROUP, "kind": kind, "name": name} for kind, _, name in listed
        ]
    return binding
