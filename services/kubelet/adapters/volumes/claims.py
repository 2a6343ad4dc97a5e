"""Claims of pods, watched until they are bound, and the volumes behind them."""

from collections.abc import Callable

import msgspec

from pilothouse.services.kubelet.adapters.volumes.references import Reference, References
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.volumes import claimed
from pilothouse.services.kubelet.volumes.claimed import Place
from pilothouse.services.kubelet.volumes.sources import Volume
from pilothouse.services.machinery.errors import NotFound
from pilothouse.services.machinery.kinds.volumes import PersistentVolume
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from pilothouse.services.runtime.client.objects import Objects, Selection

_VOLUME = msgspec.json.Decoder(PersistentVolume)


class MeshClaims:
    """What was bound once stays so for as long as the pod is there: it is asked for once."""

    def __init__(self, objects: Objects, references: References) -> None:
        self._objects = objects
        self._references = references
        self._found: dict[str, dict[str, Place]] = {}

    async def locate(self, pod: Pod, volume: Volume, changed: Callable[[], None]) -> Place:
        known = self.found(pod.uid, volume.name)
        if known is not None:
            return known
        name, holder = claimed.claim_name(pod, volume), f"{pod.uid}/{volume.name}"
        selection = Selection(pod.metadata.namespace, fields=f"metadata.name={name}")
        reference = Reference(PERSISTENT_VOLUME_CLAIMS, selection)
        items = await self._references.read(reference, holder, changed)
        if not items:
            raise NotFound(f'persistentvolumeclaim "{name}" not found')
        claim, spec, status = items[0].metadata, items[0].spec, items[0].status
        told = status.phase if status else "", spec.volume_name if spec else ""
        claimed.check_bound(pod, volume, claim, told)
        text = await self._objects.get(PERSISTENT_VOLUMES, Key("", told[1]))
        place = claimed.place(volume, claim, _VOLUME.decode(text))
        self._references.keep(holder, frozenset())
        self._found.setdefault(pod.uid, {})[volume.name] = place
        return place

    def found(self, uid: str, volume: str) -> Place | None:
        return self._found.get(uid, {}).get(volume)

    def forget(self, pod: str) -> None:
        self._found.pop(pod, None)
        self._references.drop(f"{pod}/")
