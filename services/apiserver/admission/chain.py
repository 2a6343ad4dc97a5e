"""The order of admission: first what changes an object, then its rules, then what only refuses."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

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
from pilothouse.services.apiserver.admission.request import Admission

Step: TypeAlias = Callable[[Admission], None]
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


def admit_create(request: Admission) -> None:
    """What a new object gets, or why it may not be.

    Raises:
        NotFound: its namespace is not there.
        Forbidden: a step refuses it.
    """
    namespaces.admit(request)
    for step in _ADMIT.get((request.kind.group, request.kind.plural), ()):
        step(request)


def review_create(request: Admission) -> None:
    """After its rules have been kept: Forbidden when a policy of the cluster is not."""
    for step in _REVIEW.get((request.kind.group, request.kind.plural), ()):
        step(request)


def review_update(request: Admission) -> None:
    """The same for a change; ``request.subresource`` says of which part."""
    kind, part = request.kind, request.subresource
    found = (
        _REVIEW_PART.get((kind.group, kind.plural, part), ())
        if part
        else _REVIEW_UPDATE.get((kind.group, kind.plural), ())
    )
    for step in found:
        step(request)
