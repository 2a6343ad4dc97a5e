"""Where the volume behind a claim is on this node, and why a pod can not have it yet. Pure."""

from dataclasses import dataclass

from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.volumes.sources import HostPathSource, Volume
from pilothouse.services.machinery.errors import BadRequest
from pilothouse.services.machinery.kinds.volumes import PersistentVolume
from pilothouse.services.machinery.objects import Metadata, controller_of


@dataclass(frozen=True, slots=True)
class Place:
    """``owned``: files in it are given to the pod's fsGroup."""

    source: HostPathSource
    read_only: bool = False
    owned: bool = False


def claim_name(pod: Pod, volume: Volume) -> str:
    """The claim that the volume is made of; empty for volumes of other kinds."""
    if volume.persistent_volume_claim is not None:
        return volume.persistent_volume_claim.claim_name
    if volume.ephemeral is not None:
        return f"{pod.metadata.name}-{volume.name}"
    return ""


def check_bound(pod: Pod, volume: Volume, claim: Metadata, told: tuple[str, str]) -> None:
    """``told``: the claim's phase and volume. BadRequest says what it waits for."""
    phase, name = told
    if volume.ephemeral is not None:
        owner = controller_of(claim)
        if owner is None or owner.uid != pod.uid:
            text = f"PVC {claim.key} was not created for pod {pod.metadata.key} (pod is not owner)"
            raise BadRequest(text)
    if phase != "Bound" or not name:
        text = f'PVC {claim.key} has non-bound phase ("{phase}") or empty pvc.Spec.VolumeName'
        raise BadRequest(f'{text} ("{name}")')


def place(volume: Volume, claim: Metadata, held: PersistentVolume) -> Place:
    """Where it is; BadRequest where it is another's, or of a kind that is not had here."""
    reference = held.spec.claim_ref
    if reference is None or reference.uid != claim.uid:
        uid = reference.uid if reference is not None else ""
        text = f'pv.Spec.ClaimRef.UID ("{uid}") does not point to PVC.UID ("{claim.uid}")'
        raise BadRequest(f"PV {held.metadata.name}: {text}")
    if held.spec.volume_mode == "Block":
        raise BadRequest(f"PV {held.metadata.name}: block volumes are not supported")
    asked = volume.persistent_volume_claim
    is_read_only = asked is not None and asked.read_only
    if held.spec.host_path is not None:
        found = held.spec.host_path
        return Place(HostPathSource(path=found.path, type=found.type), is_read_only)
    if held.spec.local is not None:
        source = HostPathSource(path=held.spec.local.path, type="Directory")
        return Place(source, is_read_only, owned=True)
    raise BadRequest(f"PV {held.metadata.name}: its kind is not supported")
