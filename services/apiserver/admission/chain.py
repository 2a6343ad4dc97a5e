"""The order of admission: first what changes an object, then its rules, then what only refuses."""

from collections.abc import Mapping
from typing import TypeAlias, TypeVar

from pilothouse.services.apiserver.admission import (
    accounts,
    certificates,
    defaults,
    limits,
    namespaces,
    nodes,
    pods,
    priorities,
    runtimes,
    security,
    storage,
)
from pilothouse.services.apiserver.admission.measures import MEASURES, Step
from pilothouse.services.apiserver.admission.request import Admission

_Place = TypeVar("_Place")
Steps: TypeAlias = Mapping[tuple[str, str], tuple[Step, ...]]

_PROTECTED = {
    ("", "persistentvolumes"): (storage.admit_protection,),
    ("storage.k8s.io", "volumeattributesclasses"): (storage.admit_protection,),
}
_ADMIT: Steps = {
    **_PROTECTED,
    ("", "pods"): (
        limits.admit,
        accounts.admit,
        nodes.admit_pod,
        pods.admit_priority,
        pods.admit_tolerations,
        runtimes.admit,
    ),
    ("", "nodes"): (nodes.admit, nodes.admit_taint),
    ("", "persistentvolumeclaims"): (defaults.admit_claim, storage.admit_protection),
    ("certificates.k8s.io", "certificatesigningrequests"): (certificates.stamp,),
    ("certificates.k8s.io", "podcertificaterequests"): (nodes.admit_pod_certificate,),
    ("coordination.k8s.io", "leases"): (nodes.admit,),
    ("networking.k8s.io", "ingresses"): (defaults.admit_ingress,),
}
_REVIEW: Steps = {
    ("", "pods"): (limits.review_pod, security.review_pod),
    ("", "namespaces"): (security.review_namespace,),
    ("", "persistentvolumeclaims"): (limits.review_claim,),
    ("scheduling.k8s.io", "priorityclasses"): (priorities.review,),
    ("certificates.k8s.io", "certificatesigningrequests"): (certificates.review_subject,),
    ("", "podtemplates"): (security.review_template,),
    ("", "replicationcontrollers"): (security.review_template,),
    ("apps", "replicasets"): (security.review_template,),
    ("apps", "deployments"): (security.review_template,),
    ("apps", "daemonsets"): (security.review_template,),
    ("apps", "statefulsets"): (security.review_template,),
    ("batch", "jobs"): (security.review_template,),
    ("batch", "cronjobs"): (security.review_template,),
}
_REVIEW_UPDATE: Steps = {
    **_REVIEW,
    ("", "pods"): (security.review_pod,),
    ("", "persistentvolumeclaims"): (limits.review_claim, storage.review_resize),
    ("certificates.k8s.io", "certificatesigningrequests"): (),
}
_REVIEW_PART: Mapping[tuple[str, str, str], tuple[Step, ...]] = {
    ("", "pods", "resize"): (limits.review_pod, security.review_pod),
    ("", "pods", "ephemeralcontainers"): (security.review_pod,),
}


# What the real server calls whoever does this.
_PLUGINS: Mapping[Step, str] = {
    accounts.admit: "ServiceAccount",
    certificates.review_subject: "CertificateSubjectRestriction",
    certificates.stamp: "CertificateApproval",
    defaults.admit_claim: "DefaultStorageClass",
    defaults.admit_ingress: "DefaultIngressClass",
    limits.admit: "LimitRanger",
    limits.review_claim: "LimitRanger",
    limits.review_pod: "LimitRanger",
    namespaces.admit: "NamespaceLifecycle",
    nodes.admit: "NodeRestriction",
    nodes.admit_pod: "NodeRestriction",
    nodes.admit_pod_certificate: "NodeRestriction",
    nodes.admit_taint: "TaintNodesByCondition",
    pods.admit_priority: "Priority",
    pods.admit_tolerations: "DefaultTolerationSeconds",
    priorities.review: "Priority",
    runtimes.admit: "RuntimeClass",
    security.review_namespace: "PodSecurity",
    security.review_pod: "PodSecurity",
    security.review_template: "PodSecurity",
    storage.admit_protection: "StorageObjectInUseProtection",
    storage.review_resize: "PersistentVolumeClaimResize",
}
_FIRST = ((_PLUGINS[namespaces.admit], namespaces.admit),)
_Named: TypeAlias = Mapping[_Place, tuple[tuple[str, Step], ...]]


def _named(table: Mapping[_Place, tuple[Step, ...]]) -> _Named[_Place]:
    return {
        place: tuple((_PLUGINS[step], step) for step in steps) for place, steps in table.items()
    }


_ADMITTING = {place: (*_FIRST, *steps) for place, steps in _named(_ADMIT).items()}
_REVIEWING, _REVIEWING_UPDATES = _named(_REVIEW), _named(_REVIEW_UPDATE)
_REVIEWING_PARTS = _named(_REVIEW_PART)


def admit_create(request: Admission) -> None:
    """What a new object gets, or why it may not be.

    Raises:
        NotFound: its namespace is not there.
        Forbidden: a step refuses it.
    """
    place = (request.kind.group, request.kind.plural)
    MEASURES.run(_ADMITTING.get(place, _FIRST), request, "admit")


def review_create(request: Admission) -> None:
    """After its rules have been kept: Forbidden when a policy of the cluster is not."""
    place = (request.kind.group, request.kind.plural)
    MEASURES.run(_REVIEWING.get(place, ()), request, "validate")


def review_update(request: Admission) -> None:
    """The same for a change; ``request.subresource`` says of which part."""
    kind, part = request.kind, request.subresource
    found = (
        _REVIEWING_PARTS.get((kind.group, kind.plural, part), ())
        if part
        else _REVIEWING_UPDATES.get((kind.group, kind.plural), ())
    )
    MEASURES.run(found, request, "validate")
