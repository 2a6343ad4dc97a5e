"""
Validating admission policy status: whoever wrote a policy sees what is wrong with its expressions.

Reads   ValidatingAdmissionPolicy, the schemas of the kinds that its rules name
Writes  ValidatingAdmissionPolicy status (observedGeneration, typeChecking)
Again   never: whatever matters is a change

Expressions that do not compile at all are refused by the API server when they are written.
"""

from collections.abc import Sequence
from typing import Protocol

from pilothouse.services.controllers.policy.typechecking import checking
from pilothouse.services.controllers.policy.typechecking.checking import Matched, Typed
from pilothouse.services.machinery.kinds.validating import (
    ExpressionWarning,
    ValidatingAdmissionPolicy,
)
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
    async def typed(self, kinds: Sequence[Matched]) -> Sequence[Typed]:
        """Those of these kinds whose schema is known."""

    async def params(self, policy: ValidatingAdmissionPolicy) -> Typed | None:
        """The kind of its parameters, where it has some and their schema is known."""

    async def tell(
        self, policy: ValidatingAdmissionPolicy, warnings: Sequence[ExpressionWarning]
    ) -> None: ...


class ValidatingPolicyController:
    """Keeps each policy's status."""

    name = "validatingadmissionpolicy-status"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        policy = self._cluster.find(key)
        if policy is None or policy.metadata.deleting or is_seen(policy):
            return DONE
        kinds = await self._cluster.typed(checking.matched(policy))
        params = await self._cluster.params(policy)
        await self._cluster.tell(policy, checking.warnings(policy, kinds, params))
        return DONE
