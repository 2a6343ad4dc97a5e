"""Facts about what is attached where."""

import hashlib
import re

from pilothouse.services.machinery.kinds.volumes import PersistentVolume
from pilothouse.services.machinery.objects import Metadata, View

BY_CONTROLLER = "volumes.kubernetes.io/controller-managed-attach-detach"
"""Of nodes that leave attaching to the controller; all kubelets of today say so."""
_NAME = re.compile(r"csi-[0-9a-f]{64}")


class AttachmentSource(View, frozen=True, kw_only=True):
    persistent_volume_name: str = ""


class AttachmentSpec(View, frozen=True, kw_only=True):
    attacher: str = ""
    node_name: str = ""
    source: AttachmentSource = AttachmentSource()


class AttachError(View, frozen=True, kw_only=True):
    message: str = ""


class AttachmentStatus(View, frozen=True, kw_only=True):
    attached: bool = False
    attach_error: AttachError | None = None


class Attachment(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: AttachmentSpec = AttachmentSpec()
    status: AttachmentStatus = AttachmentStatus()


class DriverSpec(View, frozen=True, kw_only=True):
    attach_required: bool = True


class Driver(View, frozen=True, kw_only=True):
    """A CSIDriver."""

    metadata: Metadata = Metadata()
    spec: DriverSpec = DriverSpec()


def name(volume: PersistentVolume, node: str) -> str:
    """What the attachment of a driver's volume to a node is called."""
    source = volume.spec.csi
    text = f"{source.volume_handle}{source.driver}{node}" if source is not None else ""
    return f"csi-{hashlib.sha256(text.encode()).hexdigest()}"


def is_ours(attachment: Attachment) -> bool:
    """Whether it was made for pods, and not by a person."""
    return _NAME.fullmatch(attachment.metadata.name) is not None


def unique_name(volume: PersistentVolume) -> str:
    """What nodes call it; empty for what is no driver's."""
    source = volume.spec.csi
    return f"kubernetes.io/csi/{source.driver}^{source.volume_handle}" if source is not None else ""
