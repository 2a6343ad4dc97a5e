"""Facts about claims, volumes and who uses them."""

from collections.abc import Iterator

from pilothouse.services.machinery.kinds import pods
from pilothouse.services.machinery.kinds.affinity import NodeSelector
from pilothouse.services.machinery.kinds.pods import Pod
from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Key, Metadata, View

CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"
CLASS_FINALIZER = "kubernetes.io/vac-protection"


class ClaimSpec(View, frozen=True, kw_only=True):
    """A ``storage_class_name`` of None is one that nobody chose; the empty one was chosen."""

    volume_name: str = ""
    volume_attributes_class_name: str = ""
    access_modes: tuple[str, ...] = ()
    resources: pods.Resources = pods.Resources()
    selector: LabelSelector | None = None
    storage_class_name: str | None = None
    volume_mode: str = "Filesystem"


class ClaimStatus(View, frozen=True, kw_only=True):
    phase: str = "Pending"
    current_volume_attributes_class_name: str = ""
    access_modes: tuple[str, ...] = ()
    capacity: dict[str, str | int | float] = {}


class Claim(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()


class ClaimReference(View, frozen=True, kw_only=True):
    """An empty ``uid``: whichever claim comes to have that name."""

    namespace: str = ""
    name: str = ""
    uid: str = ""

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)


class VolumeNodeAffinity(View, frozen=True, kw_only=True):
    required: NodeSelector | None = None


class DriverVolume(View, frozen=True, kw_only=True):
    """A volume of a CSI driver."""

    driver: str = ""
    volume_handle: str = ""


class HostPath(View, frozen=True, kw_only=True):
    path: str = ""
    type: str = ""


class LocalPath(View, frozen=True, kw_only=True):
    path: str = ""


class VolumeSpec(View, frozen=True, kw_only=True):
    """Of the sources those that somebody asks for here."""

    volume_attributes_class_name: str = ""
    access_modes: tuple[str, ...] = ()
    capacity: dict[str, str | int | float] = {}
    claim_ref: ClaimReference | None = None
    persistent_volume_reclaim_policy: str = "Retain"
    storage_class_name: str = ""
    volume_mode: str = "Filesystem"
    node_affinity: VolumeNodeAffinity | None = None
    csi: DriverVolume | None = None
    host_path: HostPath | None = None
    local: LocalPath | None = None
    nfs: View | None = None


class VolumeStatus(View, frozen=True, kw_only=True):
    phase: str = "Pending"


class PersistentVolume(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: VolumeSpec = VolumeSpec()
    status: VolumeStatus = VolumeStatus()


class TopologyRequirement(View, frozen=True, kw_only=True):
    key: str
    values: tuple[str, ...] = ()


class TopologyTerm(View, frozen=True, kw_only=True):
    """Every label named must have one of the values."""

    match_label_expressions: tuple[TopologyRequirement, ...] = ()


class StorageClass(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    provisioner: str = ""
    volume_binding_mode: str = "Immediate"
    allow_volume_expansion: bool = False
    allowed_topologies: tuple[TopologyTerm, ...] = ()


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
