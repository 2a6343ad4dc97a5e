"""
Validating admission policy status: whoever wrote a policy sees that it has been looked at.

Reads   ValidatingAdmissionPolicy
Writes  ValidatingAdmissionPolicy status (observedGeneration, typeChecking)
Again   never: whatever matters is a change

Expressions that do not compile are refused by the API server when they are written.
"""

from typing import Protocol

from pilothouse.services.machinery.kinds.validating import ValidatingAdmissionPolicy
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result


def is_seen(policy: ValidatingAdmissionPolicy) -> bool:
    """Whether its status is of its present generation."""
    status = policy.status
    return (
        status.observed_generation == policy.metadata.generation
        and status.type_checking is not None
    )


class Cluster(Protocol):
    """What this controller asks of the API."""

    def find(self, key: Key) -> ValidatingAdmissionPolicy | None: ...
    async def tell(self, policy: ValidatingAdmissionPolicy) -> None: ...


class ValidatingPolicyController:
    """Keeps each policy's status."""

    name = "validatingadmissionpolicy-status"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        policy = self._cluster.find(key)
        if policy is not None and not policy.metadata.deleting and not is_seen(policy):
            await self._cluster.tell(policy)
        return DONE
