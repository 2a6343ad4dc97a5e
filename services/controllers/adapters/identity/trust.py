"""Aggregated roles, and the tokens that new nodes come with."""

from collections.abc import Iterable, Mapping

from pilothouse.services.controllers.adapters import wiring
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.identity.aggregation import AggregationController, Rules
from pilothouse.services.controllers.identity.bootstrapsigner import BootstrapSignerController
from pilothouse.services.controllers.identity.tokencleaner import TokenCleanerController
from pilothouse.services.machinery.kinds import bootstraptokens
from pilothouse.services.machinery.kinds.bootstraptokens import INFO
from pilothouse.services.machinery.kinds.identity import ClusterRole, ConfigMap, Secret
from pilothouse.services.machinery.objects import Key, Viewed
from pilothouse.services.machinery.resources import CLUSTER_ROLES, CONFIG_MAPS, SECRETS
from pilothouse.services.runtime.client.objects import Selection
from pilothouse.services.runtime.control.queue import WorkQueue

TOKENS = Selection(bootstraptokens.NAMESPACE, fields=f"type={bootstraptokens.TYPE}")
INFOS = Selection(INFO.namespace, fields=f"metadata.name={INFO.name}")


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
    """What the controllers of bootstrap tokens ask for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._tokens = world.cache(SECRETS, Secret, TOKENS)

    def find(self, key: Key) -> Secret | None:
        return self._tokens.get(key)

    def tokens(self) -> Iterable[Secret]:
        return self._tokens.values()

    def now(self) -> float:
        return self._clock.now()

    async def delete(self, token: Secret) -> None:
        await remove(self._objects, SECRETS, token.metadata)


class Signed(Tokens):
    """And of what is signed with them."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._info = world.cache(CONFIG_MAPS, ConfigMap, INFOS)

    def info(self) -> ConfigMap | None:
        return self._info.get(INFO)

    async def write(self, info: ConfigMap, signatures: Mapping[str, str | None]) -> None:
        metadata = info.metadata
        # What is signed is what was seen: whoever changed it meanwhile has us look again.
        seen = {"uid": metadata.uid, "resourceVersion": metadata.resource_version}
        await self._objects.patch(CONFIG_MAPS, INFO, {"metadata": seen, "data": dict(signatures)})


def tokencleaner(world: World) -> Controller:
    """The token cleaner, wired."""
    found = world.cache(SECRETS, Secret, TOKENS)
    queue: WorkQueue[Key] = WorkQueue()
    found.on_change(wiring.itself(queue))
    return controller(TokenCleanerController(Tokens(world)), queue, found, workers=1)


def bootstrapsigner(world: World) -> Controller:
    """The bootstrap signer, wired: every token, and what is signed, matters to all signatures."""
    tokens, info = world.cache(SECRETS, Secret, TOKENS), world.cache(CONFIG_MAPS, ConfigMap, INFOS)
    queue: WorkQueue[Key] = WorkQueue()

    def changed(_: Viewed | None, __: Viewed | None) -> None:
        queue.add(INFO)

    tokens.on_change(changed)
    info.on_change(changed)
    return controller(BootstrapSignerController(Signed(world)), queue, info, workers=1)
