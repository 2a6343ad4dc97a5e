"""Which volume is for which claim: what the binder and the scheduler must agree on."""

from collections.abc import Iterable, Mapping

from pilothouse.services.machinery import labels, quantity
from pilothouse.services.machinery.kinds import affinity
from pilothouse.services.machinery.kinds.volumes import (
    Claim,
    ClaimReference,
    PersistentVolume,
    StorageClass,
)
from pilothouse.services.machinery.objects import Key

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
MIGRATED_TO = "pv.kubernetes.io/migrated-to"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
BETA_STORAGE_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
BETA_DEFAULT_CLASS = "storageclass.beta.kubernetes.io/is-default-class"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
IN_TREE = "kubernetes.io/"
"""What the names of provisioners begin with that once were part of the cluster."""
LATE = "WaitForFirstConsumer"
YES = "yes"
STORAGE = "storage"


def class_of(item: Claim | PersistentVolume) -> str:
    """The StorageClass that it names; empty for none."""
    return item.metadata.annotations.get(BETA_CLASS) or item.spec.storage_class_name or ""


def names_class(claim: Claim) -> bool:
    """Whether it says which class, be it that of none."""
    return BETA_CLASS in claim.metadata.annotations or claim.spec.storage_class_name is not None


def default_class(classes: Iterable[StorageClass]) -> StorageClass | None:
    """The newest of those that are marked so; of one age the first by name."""
    marked = [
        item
        for item in classes
        if "true"
        in (item.metadata.annotations.get(key) for key in (DEFAULT_CLASS, BETA_DEFAULT_CLASS))
    ]
    marked.sort(key=lambda item: item.metadata.name)
    marked.sort(key=lambda item: item.metadata.creation_timestamp or "", reverse=True)
    return marked[0] if marked else None


def is_complete(claim: Claim) -> bool:
    """Whether the binder has said that it has its volume."""
    return BIND_COMPLETED in claim.metadata.annotations


def refers_to(reference: ClaimReference | None, claim: Claim) -> bool:
    """Whether a volume with this claimRef is the claim's, or is kept for one of its name."""
    if reference is None or reference.key != claim.metadata.key:
        return False
    return reference.uid in {"", claim.metadata.uid}


def requested(claim: Claim) -> int:
    """Bytes."""
    return quantity.ceiling(claim.spec.resources.requests.get(STORAGE, 0))


def capacity(volume: PersistentVolume) -> int:
    """Bytes."""
    return quantity.ceiling(volume.spec.capacity.get(STORAGE, 0))


def mismatch(claim: Claim, volume: PersistentVolume) -> str:
    """Why a claim that names this volume can not have it; empty when it can."""
    if requested(claim) > capacity(volume):
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    attributes = claim.spec.volume_attributes_class_name
    if attributes != volume.spec.volume_attributes_class_name:
        return "volumeAttributesClassName does not match"
    if claim.spec.volume_mode != volume.spec.volume_mode:
        return "incompatible volumeMode"
    if not offers(claim, volume):
        return "incompatible accessMode"
    return ""


def offers(claim: Claim, volume: PersistentVolume) -> bool:
    """Whether the volume can be used in every way that the claim asks for."""
    return set(claim.spec.access_modes) <= set(volume.spec.access_modes)


def best(claim: Claim, volumes: Iterable[PersistentVolume]) -> PersistentVolume | None:
    """The first of those that fit."""
    return next(iter(fitting(claim, volumes)), None)


def fitting(claim: Claim, volumes: Iterable[PersistentVolume]) -> list[PersistentVolume]:
    """The volumes that are free and fit: fewest access modes first, then the smallest."""
    selector = labels.compile_selector(claim.spec.selector)
    found = [
        volume
        for volume in volumes
        if volume.spec.claim_ref is None
        and volume.status.phase == "Available"
        and not volume.metadata.deleting
        and not mismatch(claim, volume)
        and (selector is None or selector.matches(volume.metadata.labels))
    ]
    found.sort(key=_preference)
    return found


def kept(claim: Claim, volumes: Iterable[PersistentVolume]) -> PersistentVolume | None:
    """The volume that already is for this claim, and fits."""
    mine = [
        volume
        for volume in volumes
        if refers_to(volume.spec.claim_ref, claim)
        and claim.spec.volume_mode == volume.spec.volume_mode
        and requested(claim) <= capacity(volume)
        and offers(claim, volume)
        # One that waits for this very claim goes before one that waits for its name.
    ]
    mine.sort(key=lambda volume: (not _uid(volume), *_preference(volume)))
    return mine[0] if mine else None


def reaches(volume: PersistentVolume, node_labels: Mapping[str, str], node: str) -> bool:
    """Whether the volume can be had on this node."""
    placed = volume.spec.node_affinity
    if placed is None or placed.required is None:
        return True
    wanted = affinity.Affinity(node_affinity=affinity.NodeAffinity(required=placed.required))
    return affinity.admits({}, wanted, node_labels, node)


def is_late(claim: Claim, storage_class: StorageClass | None) -> bool:
    """Whether its volume is chosen where its first pod is placed, and no pod has been."""
    if SELECTED_NODE in claim.metadata.annotations or storage_class is None:
        return False
    return storage_class.volume_binding_mode == LATE


def key_of(volume: PersistentVolume) -> Key | None:
    """The claim that it is for."""
    reference = volume.spec.claim_ref
    return reference.key if reference is not None else None


def _uid(volume: PersistentVolume) -> str:
    return volume.spec.claim_ref.uid if volume.spec.claim_ref is not None else ""


def _preference(volume: PersistentVolume) -> tuple[int, int, str]:
    return len(set(volume.spec.access_modes)), capacity(volume), volume.metadata.name
