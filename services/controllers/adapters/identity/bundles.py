"""Bundles of trust for pods, and their requests for certificates."""

from collections.abc import Sequence

from pilothouse.services.controllers.adapters import wiring
from pilothouse.services.controllers.adapters.removal import remove
from pilothouse.services.controllers.adapters.world import Controller, World, controller
from pilothouse.services.controllers.identity import trustbundles
from pilothouse.services.controllers.identity.podcertificatecleaning import (
    PodCertificateCleaningController,
)
from pilothouse.services.controllers.identity.trustbundles import Plan, TrustBundleController
from pilothouse.services.machinery.kinds.certificates import ClusterTrustBundle
from pilothouse.services.machinery.objects import Key, Object
from pilothouse.services.machinery.resources import (
    CLUSTER_TRUST_BUNDLES,
    POD_CERTIFICATE_REQUESTS,
)
from pilothouse.services.runtime.control.queue import WorkQueue

_ANY = Key("", trustbundles.SIGNER)


class Bundles:
    """What the trust bundle publisher asks for."""

    def __init__(self, world: World, authority: str) -> None:
        self._objects = world.objects
        self._bundles = world.cache(CLUSTER_TRUST_BUNDLES, ClusterTrustBundle)
        self._authority = authority

    def authority(self) -> str:
        return self._authority

    def bundles(self) -> Sequence[ClusterTrustBundle]:
        signer = trustbundles.SIGNER
        return [item for item in self._bundles.values() if item.spec.signer_name == signer]

    async def write(self, todo: Plan) -> None:
        spec = {"signerName": trustbundles.SIGNER, "trustBundle": self._authority}
        if todo.present is not None:
            key = todo.present.metadata.key
            await self._objects.patch(CLUSTER_TRUST_BUNDLES, key, {"spec": spec})
            return
        body = {
            "apiVersion": CLUSTER_TRUST_BUNDLES.api_version,
            "kind": CLUSTER_TRUST_BUNDLES.kind,
            "metadata": {"name": todo.name},
            "spec": spec,
        }
        await self._objects.create(CLUSTER_TRUST_BUNDLES, "", body)

    async def delete(self, bundle: ClusterTrustBundle) -> None:
        await remove(self._objects, CLUSTER_TRUST_BUNDLES, bundle.metadata)


def publisher(world: World, authority: str) -> Controller:
    """The trust bundle publisher, wired; it looks once in any case."""
    found = world.cache(CLUSTER_TRUST_BUNDLES, ClusterTrustBundle)
    queue: WorkQueue[Key] = WorkQueue()
    found.on_change(lambda _old, _new: queue.add(_ANY))
    queue.add(_ANY)
    return controller(TrustBundleController(Bundles(world, authority)), queue, found, workers=1)


class Requests:
    """What the cleaner of pods' requests asks for."""

    def __init__(self, world: World) -> None:
        self._objects = world.objects
        self._clock = world.clock
        self._requests = world.metadata(POD_CERTIFICATE_REQUESTS)

    def find(self, key: Key) -> Object | None:
        return self._requests.get(key)

    def now(self) -> float:
        return self._clock.now()

    async def delete(self, request: Object) -> None:
        await remove(self._objects, POD_CERTIFICATE_REQUESTS, request.metadata)


def cleaning(world: World) -> Controller:
    """The cleaner of pods' requests, wired."""
    found = world.metadata(POD_CERTIFICATE_REQUESTS)
    queue: WorkQueue[Key] = WorkQueue()
    found.on_change(wiring.itself(queue))
    return controller(PodCertificateCleaningController(Requests(world)), queue, found)
