"""The volume part of a pod's spec."""

from collections.abc import Mapping

from msgspec import field

from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import View


class KeyToPath(View, frozen=True, kw_only=True):
    key: str
    path: str
    mode: int | None = None


class ConfigMapSource(View, frozen=True, kw_only=True):
    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int | None = None
    optional: bool = False


class SecretSource(View, frozen=True, kw_only=True):
    secret_name: str = ""
    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int | None = None
    optional: bool = False


class FieldSelector(View, frozen=True, kw_only=True):
    field_path: str


class ResourceSelector(View, frozen=True, kw_only=True):
    resource: str
    container_name: str = ""
    divisor: str | int | float = "0"


class DownwardFile(View, frozen=True, kw_only=True):
    path: str
    field_ref: FieldSelector | None = None
    resource_field_ref: ResourceSelector | None = None
    mode: int | None = None


class DownwardSource(View, frozen=True, kw_only=True):
    items: tuple[DownwardFile, ...] = ()
    default_mode: int | None = None


class TokenSource(View, frozen=True, kw_only=True):
    path: str
    audience: str = ""
    expiration_seconds: int = 3600


class TrustBundleSource(View, frozen=True, kw_only=True):
    """One ClusterTrustBundle by ``name``, or all of a signer that the selector matches."""

    path: str
    name: str | None = None
    signer_name: str | None = None
    label_selector: LabelSelector | None = None
    optional: bool = False


class CertificateSource(View, frozen=True, kw_only=True):
    """A key of this pod's own and a certificate that a signer gave for it."""

    signer_name: str
    key_type: str
    max_expiration_seconds: int | None = None
    credential_bundle_path: str = ""
    key_path: str = ""
    certificate_chain_path: str = ""
    user_annotations: Mapping[str, str] | None = None


class Projection(View, frozen=True, kw_only=True):
    """One part of a projected volume."""

    config_map: ConfigMapSource | None = None
    secret: SecretSource | None = None
    downward_api: DownwardSource | None = field(default=None, name="downwardAPI")
    service_account_token: TokenSource | None = None
    cluster_trust_bundle: TrustBundleSource | None = None
    pod_certificate: CertificateSource | None = None


class ProjectedSource(View, frozen=True, kw_only=True):
    sources: tuple[Projection, ...] = ()
    default_mode: int | None = None


class EmptyDirSource(View, frozen=True, kw_only=True):
    medium: str = ""
    size_limit: str | int | float | None = None


class HostPathSource(View, frozen=True, kw_only=True):
    path: str
    type: str = ""


class ImageSource(View, frozen=True, kw_only=True):
    """An image's files, read-only."""

    reference: str = ""
    pull_policy: str = "IfNotPresent"


class ClaimSource(View, frozen=True, kw_only=True):
    claim_name: str = ""
    read_only: bool = False


class EphemeralSource(View, frozen=True, kw_only=True):
    """A claim named after the pod and the volume; its template is the controller's to read."""


class Volume(View, frozen=True, kw_only=True):
    """One of the sources is set; kinds that are not honoured leave all of them unset."""

    name: str
    empty_dir: EmptyDirSource | None = None
    host_path: HostPathSource | None = None
    config_map: ConfigMapSource | None = None
    secret: SecretSource | None = None
    downward_api: DownwardSource | None = field(default=None, name="downwardAPI")
    projected: ProjectedSource | None = None
    image: ImageSource | None = None
    persistent_volume_claim: ClaimSource | None = None
    ephemeral: EphemeralSource | None = None


class VolumeMount(View, frozen=True, kw_only=True):
    name: str
    mount_path: str
    read_only: bool = False
    recursive_read_only: str = ""
    sub_path: str = ""
    sub_path_expr: str = ""
    mount_propagation: str = ""


def projections(volume: Volume) -> tuple[tuple[Projection, ...], int]:
    """The parts of a volume made of API objects, and its files' mode; none for other volumes."""
    if volume.config_map is not None:
        return (Projection(config_map=volume.config_map),), _mode(volume.config_map.default_mode)
    if volume.secret is not None:
        return (Projection(secret=volume.secret),), _mode(volume.secret.default_mode)
    if volume.downward_api is not None:
        downward = volume.downward_api
        return (Projection(downward_api=downward),), _mode(downward.default_mode)
    if volume.projected is not None:
        return volume.projected.sources, _mode(volume.projected.default_mode)
    return (), 0


def _mode(mode: int | None) -> int:
    return 0o644 if mode is None else mode
