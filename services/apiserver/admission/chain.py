"""The order of admission."""

from pilothouse.services.apiserver.admission import accounts, namespaces, nodes, pods
from pilothouse.services.apiserver.admission.request import Admission

_POD_STEPS = (accounts.admit, nodes.admit_pod, pods.admit_priority, pods.admit_tolerations)


def admit_create(request: Admission) -> None:
    """All steps for a new object.

    Raises:
        NotFound: its namespace is not there.
        Forbidden: a step refuses it.
    """
    namespaces.admit(request)
    if request.kind.plural == "pods":
        for step in _POD_STEPS:
            step(request)
    else:
        nodes.admit(request)
