"""What the server knows of one kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pilothouse.services.apiserver.kinds.custom import Custom
from pilothouse.services.machinery.errors import Subject

READ = ("get", "list", "watch")
FULL = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_NEW = frozenset({"create", "patch", "update"})
# A delete answers with the object itself, and not with a Status.
_SHOWN_WHEN_DELETED = frozenset({
    ("", "persistentvolumeclaims"), ("", "persistentvolumes"), ("", "pods"), ("", "podtemplates"),
    ("", "resourcequotas"), ("", "serviceaccounts"), ("", "services"),
    ("storage.k8s.io", "csidrivers"), ("storage.k8s.io", "csinodes"),
    ("storage.k8s.io", "storageclasses"), ("storage.k8s.io", "volumeattachments"),
    ("storage.k8s.io", "volumeattributesclasses"),
    ("resource.k8s.io", "deviceclasses"), ("resource.k8s.io", "devicetaintrules"),
    ("resource.k8s.io", "resourceclaims"), ("resource.k8s.io", "resourceclaimtemplates"),
    ("resource.k8s.io", "resourceslices"),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subresource:
    """The kind that ``…/name/<subresource>`` speaks, and the verbs it takes."""

    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """One resource of one version. ``definition`` is its name among the published schemas.

    ``stored_as`` names the kind in whose shape and place objects rest, when that is another one
    (``events.k8s.io/v1`` rests as ``v1``); else it is empty. ``custom`` is what a
    CustomResourceDefinition says of it, and ``rests`` the kind of its storage version when that is
    another one; None for the kinds that are built in.
    """

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...] = FULL
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: Mapping[str, Subresource] = field(default_factory=dict)
    definition: str = ""
    stored_as: str = ""
    list_kind: str = ""
    custom: Custom | None = field(default=None, repr=False, compare=False)
    rests: "Kind | None" = field(default=None, repr=False, compare=False)

    @cached_property
    def native(self) -> str:
        """The plural of a built-in kind, by which the server knows its ways; else empty."""
        return self.plural if self.custom is None else ""

    @cached_property
    def place(self) -> str:
        """Where its objects lie in the store, below the prefix."""
        return self.plural if self.custom is None else f"{self.group}/{self.plural}"

    @property
    def api_version(self) -> str:
        """``v1`` or ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """``pods`` or ``deployments.apps``, as error messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def persistent(self) -> bool:
        """Whether objects of it are stored; reviews and component statuses are computed."""
        return "update" in self.verbs

    @property
    def offered(self) -> list[str]:
        """The verbs that discovery names; nothing new is offered of a kind that is going."""
        going = self.custom is not None and self.custom.terminating
        return sorted(verb for verb in self.verbs if not (going and verb in _NEW))

    @property
    def shown_when_deleted(self) -> bool:
        """Whether a delete answers with the object; else it answers with a Status."""
        return (self.group, self.plural) in _SHOWN_WHEN_DELETED

    def subject(self, name: str = "", uid: str = "") -> Subject:
        """What an error about an object of this kind says in its details."""
        return Subject(group=self.group, kind=self.plural, name=name, uid=uid)
