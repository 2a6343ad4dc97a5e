"""Claims, volumes and storage classes as they are, who uses claims, and who was promised what."""

from collections.abc import Iterator

from pilothouse.services.machinery.kinds import binding
from pilothouse.services.machinery.kinds.volumes import Claim, PersistentVolume, StorageClass
from pilothouse.services.machinery.objects import Key
from pilothouse.services.scheduler.candidate import Candidate, NodeTerm, node_terms


class VolumeTable:
    """A volume that was chosen for a claim is nobody else's from then on: it is *promised*."""

    def __init__(self) -> None:
        self.claims: dict[Key, Claim] = {}
        self.volumes: dict[str, PersistentVolume] = {}
        self.classes: dict[str, StorageClass] = {}
        self._terms: dict[str, tuple[NodeTerm, ...]] = {}
        self._free: dict[str, dict[str, PersistentVolume]] = {}
        self._promised: dict[str, Key] = {}
        self._users: dict[Key, dict[Key, None]] = {}

    def forget_claim(self, key: Key) -> None:
        """It is gone."""
        self.claims.pop(key, None)

    def put_volume(self, volume: PersistentVolume) -> None:
        name = volume.metadata.name
        self.drop_volume(name)
        self.volumes[name] = volume
        if volume.spec.claim_ref is None:
            self._free.setdefault(binding.class_of(volume), {})[name] = volume
        placed = volume.spec.node_affinity
        if placed is not None and placed.required is not None:
            self._terms[name] = node_terms(placed.required)

    def drop_volume(self, name: str) -> None:
        """It is gone, or about to be another."""
        before = self.volumes.pop(name, None)
        self._terms.pop(name, None)
        if before is not None and before.spec.claim_ref is None:
            self._free[binding.class_of(before)].pop(name, None)

    def terms(self, name: str) -> tuple[NodeTerm, ...] | None:
        """Where this volume can be had; None: everywhere."""
        return self._terms.get(name)

    def free(self, storage_class: str) -> Iterator[PersistentVolume]:
        """Volumes of the class that are nobody's and promised to nobody."""
        for name, volume in self._free.get(storage_class, {}).items():
            if name not in self._promised:
                yield volume

    def class_of(self, claim: Claim) -> StorageClass | None:
        return self.classes.get(binding.class_of(claim))

    def promise(self, volume: str, pod: Key) -> None:
        """The pod's claim is to have it."""
        self._promised[volume] = pod

    def release(self, pod: Key) -> None:
        """What was promised to the pod is its claims' by now, or never will be."""
        for name in [name for name, to in self._promised.items() if to == pod]:
            del self._promised[name]

    def use(self, pod: Candidate) -> None:
        """The pod has a node."""
        for need in pod.claims:
            self._users.setdefault(need.claim, {})[pod.key] = None

    def leave(self, pod: Candidate) -> None:
        """The pod has none any more."""
        for need in pod.claims:
            users = self._users.get(need.claim, {})
            users.pop(pod.key, None)
            if not users:
                self._users.pop(need.claim, None)

    def users(self, claim: Key) -> int:
        """How many pods on nodes use it."""
        return len(self._users.get(claim, ()))


def is_bound(claim: Claim) -> bool:
    """Whether it has its volume, for good."""
    return bool(claim.spec.volume_name) and binding.is_complete(claim)
