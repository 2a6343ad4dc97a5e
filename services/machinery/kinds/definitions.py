"""CustomResourceDefinitions, as those see them who have to do with objects of every kind."""

from pilothouse.services.machinery.conditions import Condition
from pilothouse.services.machinery.objects import Metadata, View
from pilothouse.services.machinery.resources import Resource

ESTABLISHED = "Established"


class Names(View, frozen=True, kw_only=True):
    plural: str = ""
    kind: str = ""


class Version(View, frozen=True, kw_only=True):
    name: str
    served: bool = False
    storage: bool = False


class Spec(View, frozen=True, kw_only=True):
    group: str = ""
    scope: str = ""
    names: Names = Names()
    versions: tuple[Version, ...] = ()


class Status(View, frozen=True, kw_only=True):
    conditions: tuple[Condition, ...] = ()


class Definition(View, frozen=True, kw_only=True):
    """Which kind it adds, and whether that is served."""

    metadata: Metadata = Metadata()
    spec: Spec = Spec()
    status: Status = Status()


def resource_of(definition: Definition) -> Resource | None:
    """The kind in its storage version, or the first that is served; None when none is."""
    spec = definition.spec
    conditions = definition.status.conditions
    if not any(item.type == ESTABLISHED and item.status == "True" for item in conditions):
        return None
    served = sorted(
        (version for version in spec.versions if version.served),
        key=lambda version: not version.storage,
    )
    if not served:
        return None
    namespaced = spec.scope == "Namespaced"
    names = spec.names
    return Resource(spec.group, served[0].name, names.plural, names.kind, namespaced=namespaced)
