"""ValidatingAdmissionPolicies and their status."""

from pilothouse.services.controllers.adapters import wiring
from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.policy.validatingpolicy import ValidatingPolicyController
from pilothouse.services.machinery.kinds.validating import ValidatingAdmissionPolicy
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import VALIDATING_ADMISSION_POLICIES
from pilothouse.services.runtime.control.queue import WorkQueue


class Policies:
    """What the controller of their status asks for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._policies = world.cache(VALIDATING_ADMISSION_POLICIES, ValidatingAdmissionPolicy)

    def find(self, key: Key) -> ValidatingAdmissionPolicy | None:
        return self._policies.get(key)

    async def tell(self, policy: ValidatingAdmissionPolicy) -> None:
        metadata = policy.metadata
        patch = {
            "metadata": {"uid": metadata.uid},
            "status": {"observedGeneration": metadata.generation, "typeChecking": {}},
        }
        await self._objects.patch(
            VALIDATING_ADMISSION_POLICIES, metadata.key, patch, subresource="status"
        )


def status(world: World) -> Controller:
    """The controller of policies' status, wired."""
    found = world.cache(VALIDATING_ADMISSION_POLICIES, ValidatingAdmissionPolicy)
    queue: WorkQueue[Key] = WorkQueue()
    found.on_change(wiring.itself(queue))
    return controller(ValidatingPolicyController(Policies(world)), queue, found)
