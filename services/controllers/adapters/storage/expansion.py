"""Claims that ask for more than they have."""

from pilothouse.services.controllers.adapters.world import Controller, World, controller, reference
from pilothouse.services.controllers.storage.expander import ExpandController
from pilothouse.services.machinery.kinds import binding
from pilothouse.services.machinery.kinds.volumes import Claim, PersistentVolume
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from pilothouse.services.runtime.control.queue import WorkQueue


class Expansions:
    """What the controller of expansions asks for."""

    def __init__(self, world: World) -> None:
        self._claims = world.cache(PERSISTENT_VOLUME_CLAIMS, Claim)
        self._volumes = world.cache(PERSISTENT_VOLUMES, PersistentVolume)
        self._recorder = world.recorder("volume_expand")

    def claim(self, key: Key) -> Claim | None:
        return self._claims.get(key)

    def volume(self, claim: Claim) -> PersistentVolume | None:
        name = claim.spec.volume_name
        return self._volumes.get(Key("", name)) if name else None

    def say(self, claim: Claim, text: str) -> None:
        about = reference(PERSISTENT_VOLUME_CLAIMS, claim.metadata)
        self._recorder.note(about, "Normal", "ExternalExpanding", text)


def expander(world: World) -> Controller:
    """The controller, wired: it hears of claims that want more than they did."""
    claims = world.cache(PERSISTENT_VOLUME_CLAIMS, Claim)
    queue: WorkQueue[Key] = WorkQueue()

    def changed(old: Claim | None, new: Claim | None) -> None:
        if new is None or new.status.phase != "Bound":
            return
        if old is None or binding.requested(old) != binding.requested(new):
            queue.add(new.metadata.key)

    claims.on_change(changed)
    world.cache(PERSISTENT_VOLUMES, PersistentVolume)
    return controller(ExpandController(Expansions(world)), queue, claims)
