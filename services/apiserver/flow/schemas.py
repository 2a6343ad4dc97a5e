"""FlowSchemas and PriorityLevelConfigurations as they are read here."""

import msgspec

GROUP = "flowcontrol.apiserver.k8s.io"
VERSION = "v1"
SCHEMAS = "flowschemas"
LEVELS = "prioritylevelconfigurations"


class Metadata(msgspec.Struct, frozen=True):
    """Who it is."""

    name: str = ""
    uid: str = ""


class Named(msgspec.Struct, frozen=True):
    """A reference by name, and a subject's name."""

    name: str = ""
    namespace: str = ""


class Subject(msgspec.Struct, frozen=True, rename="camel"):
    """A user, a group or a service account; ``*`` stands for every one."""

    kind: str = ""
    user: Named | None = None
    group: Named | None = None
    service_account: Named | None = None


class ResourceRule(msgspec.Struct, frozen=True, rename="camel"):
    """Verbs on resources, in namespaces or at the cluster's scope."""

    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    cluster_scope: bool = False


class PathRule(msgspec.Struct, frozen=True):
    """Verbs on paths that are no resources."""

    verbs: tuple[str, ...] = ()
    paths: tuple[str, ...] = msgspec.field(default=(), name="nonResourceURLs")


class Rule(msgspec.Struct, frozen=True, rename="camel"):
    """Who asks, and for what."""

    subjects: tuple[Subject, ...] = ()
    resource_rules: tuple[ResourceRule, ...] = ()
    non_resource_rules: tuple[PathRule, ...] = ()


class Method(msgspec.Struct, frozen=True):
    """``ByUser`` or ``ByNamespace``."""

    type: str = ""


class SchemaSpec(msgspec.Struct, frozen=True, rename="camel"):
    """What a FlowSchema matches, and the level that its requests go to."""

    priority_level_configuration: Named = Named()
    matching_precedence: int = 1000
    distinguisher_method: Method | None = None
    rules: tuple[Rule, ...] = ()


class FlowSchema(msgspec.Struct, frozen=True):
    """One FlowSchema."""

    metadata: Metadata
    spec: SchemaSpec = SchemaSpec()


class Queuing(msgspec.Struct, frozen=True, rename="camel"):
    """How many queues, how many of them one flow is dealt, and how long each may get."""

    queues: int = 64
    hand_size: int = 8
    queue_length_limit: int = 50


class Response(msgspec.Struct, frozen=True):
    """What happens to a request that finds no seat."""

    type: str = "Reject"
    queuing: Queuing | None = None


class Limited(msgspec.Struct, frozen=True, rename="camel"):
    """A level's share of all seats, and what of them it lends and borrows (percent)."""

    nominal_concurrency_shares: int | None = None
    lendable_percent: int | None = None
    borrowing_limit_percent: int | None = None
    limit_response: Response = Response()


class LevelSpec(msgspec.Struct, frozen=True):
    """``Limited`` or ``Exempt``."""

    type: str = "Limited"
    limited: Limited | None = None
    exempt: Limited | None = None


class PriorityLevel(msgspec.Struct, frozen=True):
    """One PriorityLevelConfiguration."""

    metadata: Metadata
    spec: LevelSpec = LevelSpec()


def read_schema(text: bytes) -> FlowSchema:
    """A FlowSchema from its JSON."""
    return msgspec.json.decode(text, type=FlowSchema)


def read_level(text: bytes) -> PriorityLevel:
    """A PriorityLevelConfiguration from its JSON."""
    return msgspec.json.decode(text, type=PriorityLevel)
