"""The ``scale`` of whatever has one: workloads, and custom kinds that say where theirs is."""

import msgspec

from pilothouse.services.controllers.adapters.objects.definitions import Definitions
from pilothouse.services.controllers.adapters.world import World
from pilothouse.services.machinery.kinds.autoscaling import Scale
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NODES,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
    Resource,
)

SCALED = (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, REPLICATION_CONTROLLERS)
UNSCALED = (DAEMON_SETS, JOBS, NODES)
"""They control pods as well, and nobody can ask them for a number."""

_SCALE = msgspec.json.Decoder(Scale)


class Scales:
    """Finds kinds by what references say of them, and reads scales as they are now."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._definitions = Definitions(world)

    def resource(self, api_version: str, kind: str) -> Resource | None:
        """The kind of a reference; its version is not looked at."""
        group = api_version.rpartition("/")[0]
        for resource in (*SCALED, *UNSCALED, *self._definitions.served()):
            if (resource.group, resource.kind) == (group, kind):
                return resource
        return None

    async def read(self, resource: Resource, key: Key) -> Scale:
        """Raises ApiError: NotFound where there is no such object, or it has no scale."""
        return _SCALE.decode(await self._objects.get(resource, key, subresource="scale"))
