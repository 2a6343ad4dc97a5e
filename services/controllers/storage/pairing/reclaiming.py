"""What is to be done for one volume: say whose it is, give it back, or clear it away."""

from dataclasses import dataclass
from enum import Enum

from pilothouse.services.controllers.storage.pairing.claiming import WARNING, Say
from pilothouse.services.machinery.kinds import binding
from pilothouse.services.machinery.kinds.volumes import Claim, PersistentVolume

AVAILABLE, BOUND, RELEASED, FAILED = "Available", "Bound", "Released", "Failed"
CLEARED = "/tmp/"  # noqa: S108 - upstream clears what hostPath volumes hold here and nowhere else


class Act(Enum):
    """What is done beyond saying its phase."""

    NOTHING = "nothing"
    UNBIND = "unbind"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Plan:
    """``phase``: what it is now, empty when it says so; ``wake``: the claim is to be looked at.

    ``forget``: an undone choice of the binder's leaves no claimRef; one of a person's its name.
    """

    phase: str = ""
    message: str = ""
    act: Act = Act.NOTHING
    forget: bool = False
    wake: bool = False
    say: Say | None = None


def plan(volume: PersistentVolume, claim: Claim | None) -> Plan:
    """``claim``: the one of the name in claimRef."""
    reference = volume.spec.claim_ref
    if reference is None or not reference.uid:
        # A claim of the name for which it is kept finds it by itself.
        return _told(volume, AVAILABLE, wake=reference is not None)
    if claim is None or claim.metadata.uid != reference.uid:
        return _released(volume)
    if not claim.spec.volume_name:
        return _reserved(volume, claim)
    if claim.spec.volume_name == volume.metadata.name:
        return _told(volume, BOUND)
    return _spare(volume)


def _reserved(volume: PersistentVolume, claim: Claim) -> Plan:
    """It is for this claim, which does not say so yet."""
    if claim.spec.volume_mode == volume.spec.volume_mode:
        return Plan(wake=True)
    text = (
        "Cannot bind PersistentVolume to requested PersistentVolumeClaim "
        f'"{claim.metadata.name}" due to incompatible volumeMode.'
    )
    return Plan(say=Say(WARNING, "VolumeMismatch", text))


def _spare(volume: PersistentVolume) -> Plan:
    """The claim has another one."""
    told = volume.metadata.annotations
    is_spare = volume.spec.persistent_volume_reclaim_policy == "Delete"
    if binding.PROVISIONED_BY in told and is_spare:
        return _released(volume)
    return Plan(phase=AVAILABLE, act=Act.UNBIND, forget=binding.BOUND_BY_CONTROLLER in told)


def _told(volume: PersistentVolume, phase: str, *, wake: bool = False) -> Plan:
    return Plan(phase=phase if volume.status.phase != phase else "", wake=wake)


def _released(volume: PersistentVolume) -> Plan:
    is_said = volume.status.phase in {RELEASED, FAILED}
    phase = "" if is_said else RELEASED
    policy = volume.spec.persistent_volume_reclaim_policy
    if volume.status.phase == FAILED or policy == "Retain":
        return Plan(phase=phase)
    if binding.MIGRATED_TO in volume.metadata.annotations or volume.metadata.deleting:
        return Plan(phase=phase)
    if policy == "Delete":
        return _deleted(volume, phase)
    if policy == "Recycle":
        # Deprecated for long; whoever has volumes like that empties them by hand.
        return _failed("VolumeFailedRecycle", "No recycler plugin found for the volume!")
    text = f'Volume has unrecognized PersistentVolumeReclaimPolicy "{policy}"'
    return Plan(phase=phase, say=Say(WARNING, "VolumeUnknownReclaimPolicy", text))


def _deleted(volume: PersistentVolume, phase: str) -> Plan:
    """Whoever made it deletes it; of those that nobody made only some can be deleted."""
    if binding.PROVISIONED_BY in volume.metadata.annotations:
        return Plan(phase=phase)
    name, source = volume.metadata.name, volume.spec.host_path
    if source is None:
        text = (
            f'error getting deleter volume plugin for volume "{name}": '
            "no deletable volume plugin matched"
        )
        return _failed("VolumeFailedDelete", text)
    if not source.path.startswith(CLEARED) or ".." in source.path.split("/"):
        text = f"host_path deleter only supports /tmp/.+ but received provided {source.path}"
        return _failed("VolumeFailedDelete", text)
    return Plan(phase=phase, act=Act.DELETE)


def _failed(reason: str, text: str) -> Plan:
    return Plan(phase=FAILED, message=text, say=Say(WARNING, reason, text))
