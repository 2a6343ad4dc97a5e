"""Aggregated roles, and the tokens that new nodes come with."""

from collections.abc import Iterable, Mapping

from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.identity import bootstraptoken
from pilothouse.services.controllers.identity.aggregation import AggregationController, Rules
from pilothouse.services.controllers.identity.bootstraptoken import BootstrapTokenController
from pilothouse.services.machinery.kinds.identity import ClusterRole, ConfigMap, Secret
from pilothouse.services.machinery.objects import Key, Viewed
from pilothouse.services.machinery.resources import CLUSTER_ROLES, CONFIG_MAPS, SECRETS
from pilothouse.services.runtime.client.objects import Selection
from pilothouse.services.runtime.control.queue import WorkQueue

TOKENS = Selection(bootstraptoken.NAMESPACE, fields=f"type={bootstraptoken.TYPE}")
INFO = Selection(bootstraptoken.INFO.namespace, fields=f"metadata.name={bootstraptoken.INFO.name}")


class Roles:
    """What the aggregation controller asks for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._roles = world.cache(CLUSTER_ROLES, ClusterRole)

    def find(self, key: Key) -> ClusterRole | None:
        return self._roles.get(key)

    def roles(self) -> Iterable[ClusterRole]:
        return self._roles.values()

    async def write(self, role: ClusterRole, rules: Rules) -> None:
        metadata = role.metadata
        same = {"uid": metadata.uid, "resourceVersion": metadata.resource_version}
        patch = {"metadata": same, "rules": list(rules)}
        await self._objects.patch(CLUSTER_ROLES, metadata.key, patch)


def aggregation(world: World) -> Controller:
    """The aggregation controller, wired: a changed role may be a part of any aggregated one."""
    found = world.cache(CLUSTER_ROLES, ClusterRole)
    queue: WorkQueue[Key] = WorkQueue()

    def changed(_: ClusterRole | None, __: ClusterRole | None) -> None:
        for role in found.values():
            if role.aggregation_rule is not None:
                queue.add(role.metadata.key)

    found.on_change(changed)
    return controller(AggregationController(Roles(world)), queue, found)


class Tokens:
    """What the bootstrap token controller asks for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._tokens = world.cache(SECRETS, Secret, TOKENS)
        self._info = world.cache(CONFIG_MAPS, ConfigMap, INFO)

    def tokens(self) -> Iterable[Secret]:
        return self._tokens.values()

    def info(self) -> ConfigMap | None:
        return self._info.get(bootstraptoken.INFO)

    def now(self) -> float:
        return self._clock.now()

    async def delete(self, token: Secret) -> None:
        await remove(self._objects, SECRETS, token.metadata)

    async def write(self, signatures: Mapping[str, str | None]) -> None:
        await self._objects.patch(CONFIG_MAPS, bootstraptoken.INFO, {"data": dict(signatures)})


def bootstrap_tokens(world: World) -> Controller:
    """The bootstrap token controller, wired."""
    tokens, info = world.cache(SECRETS, Secret, TOKENS), world.cache(CONFIG_MAPS, ConfigMap, INFO)
    queue: WorkQueue[Key] = WorkQueue()

    def changed(_: Viewed | None, __: Viewed | None) -> None:
        queue.add(bootstraptoken.INFO)

    tokens.on_change(changed)
    info.on_change(changed)
    return controller(BootstrapTokenController(Tokens(world)), queue, info, workers=1)
