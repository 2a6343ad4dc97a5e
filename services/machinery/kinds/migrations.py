"""Facts about migrations of storage (storagemigration.k8s.io)."""

from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.objects import Metadata, View


class GroupResource(View, frozen=True, kw_only=True):
    """A kind as paths name it, in whatever version."""

    group: str = ""
    resource: str = ""


class Spec(View, frozen=True, kw_only=True):
    resource: GroupResource = GroupResource()


class Status(View, frozen=True, kw_only=True):
    conditions: tuple[Condition, ...] | None = ()
    resource_version: str = ""


class StorageVersionMigration(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: Spec = Spec()
    status: Status = Status()
