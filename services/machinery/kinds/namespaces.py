"""Facts about namespaces."""

from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.objects import Metadata, View

FINALIZER = "kubernetes"


class Spec(View, frozen=True, kw_only=True):
    finalizers: tuple[str, ...] = ()


class Status(View, frozen=True, kw_only=True):
    phase: str = "Active"
    conditions: tuple[Condition, ...] = ()


class Namespace(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    spec: Spec = Spec()
    status: Status = Status()


def is_active(namespace: Namespace) -> bool:
    """Whether new objects may be made in it."""
    return not namespace.metadata.deleting and namespace.status.phase != "Terminating"
