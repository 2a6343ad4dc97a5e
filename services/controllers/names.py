"""Under what names controllers are known: ours, and those of kube-controller-manager's flag.

Every word that ``--controllers`` takes there is taken here, so that a command line can move.
"""

from collections.abc import Collection, Iterable

LONG = {
    "clusterrole-aggregation-controller": "clusterrole-aggregation",
    "cronjob-controller": "cronjob",
    "daemonset-controller": "daemonset",
    "deployment-controller": "deployment",
    "device-taint-eviction-controller": "device-taint-eviction",
    "disruption-controller": "disruption",
    "endpoints-controller": "endpoints",
    "endpointslice-controller": "endpointslice",
    "endpointslice-mirroring-controller": "endpointslicemirroring",
    "garbage-collector-controller": "garbagecollector",
    "horizontal-pod-autoscaler-controller": "horizontal-pod-autoscaler",
    "job-controller": "job",
    "namespace-controller": "namespace",
    "node-ipam-controller": "nodeipam",
    "node-lifecycle-controller": "nodelifecycle",
    "persistentvolume-protection-controller": "persistentvolume-protection",
    "persistentvolumeclaim-protection-controller": "persistentvolumeclaim-protection",
    "pod-garbage-collector-controller": "podgc",
    "replicaset-controller": "replicaset",
    "replicationcontroller-controller": "replicationcontroller",
    "resourcequota-controller": "resourcequota",
    "root-ca-certificate-publisher-controller": "root-ca-certificate-publisher",
    "certificatesigningrequest-approving-controller": "csrapproving",
    "certificatesigningrequest-cleaner-controller": "csrcleaner",
    "certificatesigningrequest-signing-controller": "csrsigning",
    "service-cidr-controller": "service-cidr",
    "serviceaccount-controller": "serviceaccount",
    "serviceaccount-token-controller": "serviceaccount-token",
    "statefulset-controller": "statefulset",
    "taint-eviction-controller": "taint-eviction",
    "token-cleaner-controller": "tokencleaner",
    "ttl-after-finished-controller": "ttl-after-finished",
    "ttl-controller": "ttl",
    "validatingadmissionpolicy-status-controller": "validatingadmissionpolicy-status",
    "volumeattributesclass-protection-controller": "volumeattributesclass-protection",
    "storage-version-migrator-controller": "storage-version-migrator",
    "podcertificaterequest-cleaner-controller": "podcertificaterequest-cleaner",
    "kube-apiserver-serving-clustertrustbundle-publisher-controller": (
        "clustertrustbundle-publisher"
    ),
    "persistentvolume-binder-controller": "persistentvolume-binder",
    "persistentvolume-attach-detach-controller": "attachdetach",
    "persistentvolume-expander-controller": "persistentvolume-expander",
    "ephemeral-volume-controller": "ephemeral-volume",
    "resourceclaim-controller": "resourceclaim",
    "bootstrap-signer-controller": "bootstrapsigner",
    "legacy-serviceaccount-token-cleaner-controller": "legacy-serviceaccount-token-cleaner",
}
"""Upstream's names of today, and ours where they differ."""

_FULL = {ours: theirs for theirs, ours in LONG.items()}

SHORT = {
    "endpoint": "endpoints",
    "horizontalpodautoscaling": "horizontal-pod-autoscaler",
    "legacy-service-account-token-cleaner": "legacy-serviceaccount-token-cleaner",
    "pvc-protection": "persistentvolumeclaim-protection",
    "pv-protection": "persistentvolume-protection",
    "root-ca-cert-publisher": "root-ca-certificate-publisher",
    "resource-claim-controller": "resourceclaim",
    "storage-version-migrator": "storage-version-migrator",
}
"""Upstream's names of before, where they are not ours."""

ABSENT = frozenset(
    {
        "cloud-node-lifecycle",
        "cloud-node-lifecycle-controller",
        "node-route-controller",
        "resourcepoolstatusrequest-controller", "route", "selinux-warning-controller",
        "service", "service-lb-controller", "storage-version-gc",
        "storageversion-garbage-collector-controller",
    }
)  # fmt: skip
"""Upstream's, of which some have no like here: they may be named, and nothing comes of it."""

PARTS = {
    "job": ("job-untracking",),
    "resourceclaim": ("resourceclaim-reservations",),
}
"""Loops that are a part of another's work: who takes that out takes them out too."""

ON_REQUEST = frozenset({"bootstrapsigner", "tokencleaner"})
"""Not meant by ``*``, as upstream."""

QUEUES = {
    "bootstrapsigner": "bootstrap_signer_queue",
    "clusterrole-aggregation": "ClusterRoleAggregator",
    "csrapproving": "certificate",
    "csrsigning": "csrsigning-all",
    "device-taint-eviction": "device-taint-eviction-controller",
    "endpoints": "endpoint",
    "endpointslice": "endpoint_slice",
    "endpointslicemirroring": "endpoint_slice_mirroring",
    "ephemeral-volume": "ephemeral_volume",
    "garbagecollector": "garbage_collector_attempt_to_delete",
    "horizontal-pod-autoscaler": "horizontalpodautoscaler",
    "job-untracking": "job_orphan_pod",
    "nodeipam": "cidrallocator-node",
    "nodelifecycle": "node_lifecycle_controller",
    "persistentvolume-binder": "claims",
    "persistentvolume-expander": "volume_expand",
    "persistentvolume-protection": "pvprotection",
    "persistentvolumeclaim-protection": "pvcprotection",
    "podgc": "orphaned_pods_nodes",
    "replicationcontroller": "replicationmanager",
    "resourceclaim": "resource_claim",
    "resourcequota": "resourcequota_primary",
    "root-ca-certificate-publisher": "root_ca_cert_publisher",
    "service-cidr": "servicecidrs",
    "serviceaccount-token": "serviceaccount_tokens_service",
    "taint-eviction": "noexec_taint_pod",
    "stale-pod-disruption": "stale_pod_disruption",
    "tokencleaner": "token_cleaner",
    "ttl": "ttlcontroller",
    "ttl-after-finished": "ttl_jobs_to_delete",
}
"""What upstream's metrics call the queues of these; the others have their controller's name."""


def queue(name: str) -> str:
    """The queue of the controller ``name``, as metrics call it."""
    return QUEUES.get(name, name)


def full(name: str) -> str:
    """Upstream's name of today for the controller ``name``; ours where it has none."""
    return _FULL.get(name, name)


def ours(word: str) -> str:
    """The name of ``word`` here."""
    return LONG.get(word) or SHORT.get(word) or word


def chosen(words: Iterable[str], known: Collection[str]) -> frozenset[str]:
    """``*``, names and ``-names``, as ``--controllers`` takes them; ValueError on a stranger.

    Of two words about one controller the first counts.
    """
    told: dict[str, bool] = {}
    everything = False
    for word in (word.strip() for word in words):
        if word == "*":
            everything = True
            continue
        bare = word.removeprefix("-")
        name = ours(bare)
        if name not in known and name not in ABSENT:
            raise ValueError(f'"{bare}" is not in the list of known controllers')
        for part in (name, *PARTS.get(name, ())):
            told.setdefault(part, not word.startswith("-"))
    return frozenset(
        name for name in known if told.get(name, everything and name not in ON_REQUEST)
    )
