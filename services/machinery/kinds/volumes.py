"""Facts about claims, volumes and who uses them."""

from collections.abc import Iterator

from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.objects import Key, Metadata, View

CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"
CLASS_FINALIZER = "kubernetes.io/vac-protection"


class ClaimSpec(View, frozen=True, kw_only=True):
    volume_name: str = ""
    volume_attributes_class_name: str = ""


class ClaimStatus(View, frozen=True, kw_only=True):
    phase: str = "Pending"
    current_volume_attributes_class_name: str = ""


class Claim(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()


class VolumeSpec(View, frozen=True, kw_only=True):
    volume_attributes_class_name: str = ""


class VolumeStatus(View, frozen=True, kw_only=True):
    phase: str = "Pending"


class PersistentVolume(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: VolumeSpec = VolumeSpec()
    status: VolumeStatus = VolumeStatus()


def claims_of(pod: Pod) -> Iterator[Key]:
    """The claims that a pod names; none once it has ended, for then it uses nothing."""
    if pods.is_terminal(pod):
        return
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim is not None:
            yield Key(pod.metadata.namespace, volume.persistent_volume_claim.claim_name)
        elif volume.ephemeral is not None:
            yield Key(pod.metadata.namespace, f"{pod.metadata.name}-{volume.name}")


def classes_of(item: Claim | PersistentVolume) -> set[str]:
    """The VolumeAttributesClasses that a claim or a volume names."""
    names = {item.spec.volume_attributes_class_name}
    if isinstance(item, Claim):
        names.add(item.status.current_volume_attributes_class_name)
    return names - {""}
