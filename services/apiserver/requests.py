"""The values that travel along the request path, whichever door they came through."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pilothouse.services.machinery.objects import Key


@dataclass(frozen=True, slots=True)
class User:
    """Who asks: from a client certificate, a token, or a private socket."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for, as the path names it. ``name`` is empty for collections."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)


FieldValidation = Literal["Ignore", "Warn", "Strict"]


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Query parameters of create, update and patch.

    ``agent`` is the name that the client's program gives itself: the manager of what it writes
    where ``field_manager`` says nothing.
    """

    dry_run: bool = False
    field_manager: str = ""
    field_validation: FieldValidation = "Warn"
    force: bool = False
    agent: str = ""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Query parameters of list and watch, as text; the registry parses and refuses.

    ``send_initial_events`` None was not given, which is not the same as False.
    """

    label_selector: str = ""
    field_selector: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    limit: int = 0
    continue_token: str = ""
    allow_bookmarks: bool = False
    send_initial_events: bool | None = None
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """Body and query of a delete; ``cascades`` where the old word for it was used."""

    grace_period_seconds: int | None = None
    uid: str = ""
    resource_version: str = ""
    propagation_policy: str = ""
    dry_run: bool = False
    cascades: bool = False


PatchType = Literal["json", "merge", "strategic", "apply"]


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch and its decoded content (a list for ``json``, else a dict)."""

    type: PatchType
    content: Any


@dataclass(frozen=True, slots=True)
class Stored:
    """A live object: the one encoding that all readers get, ``resourceVersion`` included.

    ``deleted`` says, in the answer to a delete, that it is gone and not only marked.
    """

    key: Key
    revision: int
    json: bytes
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a write; ``warnings`` go to the client as Warning headers."""

    object: Stored
    created: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a collection, true at ``revision``.

    ``texts`` are those of all items, where they are gathered already; ``size`` bytes in all.
    """

    items: Sequence[Stored]
    revision: int
    continue_token: str = ""
    remaining: int | None = None
    texts: Sequence[bytes] = ()
    size: int = 0


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """ADDED, MODIFIED, DELETED or BOOKMARK (``object.json`` empty, revision set)."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Stored
    initial_end: bool = False
