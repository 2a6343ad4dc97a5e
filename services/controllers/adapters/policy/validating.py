"""ValidatingAdmissionPolicies, their status, and the schemas of what they are about."""

from collections.abc import Sequence

import msgspec

from pilothouse.services.controllers.adapters import wiring
from pilothouse.services.controllers.adapters.objects.definitions import Definitions
from pilothouse.services.controllers.adapters.rest import RestDoor, Server, Unreachable
from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.policy.typechecking import schemas
from pilothouse.services.controllers.policy.typechecking.checking import Matched, Typed
from pilothouse.services.controllers.policy.validatingpolicy import ValidatingPolicyController
from pilothouse.services.machinery.kinds.validating import (
    ExpressionWarning,
    ValidatingAdmissionPolicy,
)
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    CLUSTER_SCOPED,
    NAMESPACED,
    VALIDATING_ADMISSION_POLICIES,
)
from pilothouse.services.runtime.control.queue import WorkQueue


class Policies:
    """What the controller of their status asks for."""

    def __init__(self, world: World, door: RestDoor) -> None:
        self._objects = world.objects
        self._policies = world.cache(VALIDATING_ADMISSION_POLICIES, ValidatingAdmissionPolicy)
        self._definitions = Definitions(world)
        self._door = door

    def find(self, key: Key) -> ValidatingAdmissionPolicy | None:
        return self._policies.get(key)

    async def typed(self, kinds: Sequence[Matched]) -> Sequence[Typed]:
        served = (*NAMESPACED, *CLUSTER_SCOPED, *self._definitions.served())
        known = {(resource.group, resource.plural): resource.kind for resource in served}
        found = []
        for matched in kinds:
            kind = known.get((matched.group, matched.plural))
            where = (matched.group, matched.version)
            typed = None if kind is None else await self._typed(*where, kind)
            if typed is not None:
                found.append(typed)
        return found

    async def params(self, policy: ValidatingAdmissionPolicy) -> Typed | None:
        wanted = policy.spec.param_kind
        if wanted is None:
            return None
        group, _, version = wanted.api_version.rpartition("/")
        return await self._typed(group, version, wanted.kind)

    async def tell(
        self, policy: ValidatingAdmissionPolicy, warnings: Sequence[ExpressionWarning]
    ) -> None:
        metadata = policy.metadata
        listed = [{"fieldRef": item.field_ref, "warning": item.warning} for item in warnings]
        patch = {
            "metadata": {"uid": metadata.uid},
            "status": {
                "observedGeneration": metadata.generation,
                "typeChecking": {"expressionWarnings": listed or None},
            },
        }
        await self._objects.patch(
            VALIDATING_ADMISSION_POLICIES, metadata.key, patch, subresource="status"
        )

    async def _typed(self, group: str, version: str, kind: str) -> Typed | None:
        place = f"apis/{group}" if group else "api"
        try:
            answer = await self._door.get(f"/openapi/v3/{place}/{version}", {})
        except Unreachable:
            return None
        if not answer.is_ok:
            return None
        document = msgspec.json.decode(answer.body)
        schema = schemas.schema_of(document, group, version, kind)
        return None if schema is None else Typed(group, version, kind, schema)


def status(world: World, server: Server | None) -> Controller:
    """The controller of policies' status, wired."""
    found = world.cache(VALIDATING_ADMISSION_POLICIES, ValidatingAdmissionPolicy)
    queue: WorkQueue[Key] = WorkQueue()
    found.on_change(wiring.itself(queue))
    cluster = Policies(world, RestDoor(server))
    return controller(ValidatingPolicyController(cluster), queue, found)
