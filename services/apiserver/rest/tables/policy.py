"""The columns of access and policy: roles, certificates, admission, flow control, devices."""

from collections.abc import Callable

from pilothouse.services.apiserver.rest.tables import ages
from pilothouse.services.apiserver.rest.tables.column import (
    AGE,
    CREATED_AT,
    NAME,
    NONE,
    UNSET,
    Column,
    Document,
    at,
    field,
    number,
    size,
)

ROLES = (NAME, CREATED_AT)


def _subjects(kind: str) -> Callable[[Document, float], str]:
    def cell(binding: Document, now: float) -> str:
        del now
        chosen = [item for item in binding.get("subjects") or () if item.get("kind") == kind]
        return ", ".join(
            f"{item['namespace']}/{item['name']}" if kind == "ServiceAccount" else item["name"]
            for item in chosen
        )

    return cell


def _role(binding: Document, now: float) -> str:
    del now
    return f"{at(binding, 'roleRef.kind')}/{at(binding, 'roleRef.name')}"


BINDINGS = (
    NAME,
    Column("Role", _role),
    AGE,
    Column("Users", _subjects("User"), wide=True),
    Column("Groups", _subjects("Group"), wide=True),
    Column("ServiceAccounts", _subjects("ServiceAccount"), wide=True),
)


def _signing_state(request: Document, now: float) -> str:
    del now
    held = [item.get("type") for item in at(request, "status.conditions") or ()]
    words = [word for word in ("Approved", "Denied", "Failed") if word in held]
    if at(request, "status.certificate"):
        words.append("Issued")
    return ",".join(words) or "Pending"


def _signing_duration(request: Document, now: float) -> str:
    del now
    seconds = at(request, "spec.expirationSeconds")
    return ages.human(seconds) if seconds else NONE


CERTIFICATE_SIGNING_REQUESTS = (
    NAME,
    AGE,
    Column("SignerName", field("spec.signerName", NONE)),
    Column("Requestor", field("spec.username")),
    Column("RequestedDuration", _signing_duration),
    Column("Condition", _signing_state),
)

CUSTOM_RESOURCE_DEFINITIONS = (NAME, CREATED_AT)


def _api_service(document: Document, now: float) -> str:
    del now
    service = at(document, "spec.service")
    return f"{service.get('namespace')}/{service.get('name')}" if service else "Local"


def _available(document: Document, now: float) -> str:
    del now
    for item in at(document, "status.conditions") or ():
        if item.get("type") == "Available":
            state = str(item.get("status"))
            return state if state == "True" else f"{state} ({item.get('reason', '')})"
    return "Unknown"


API_SERVICES = (NAME, Column("Service", _api_service), Column("Available", _available), AGE)


def _dangling(document: Document, now: float) -> str:
    del now
    for item in at(document, "status.conditions") or ():
        if item.get("type") == "Dangling":
            return str(item.get("status"))
    return "?"


FLOW_SCHEMAS = (
    NAME,
    Column("PriorityLevel", field("spec.priorityLevelConfiguration.name")),
    Column("MatchingPrecedence", number("spec.matchingPrecedence"), type="integer"),
    Column("DistinguisherMethod", field("spec.distinguisherMethod.type", NONE)),
    AGE,
    Column("MissingPL", _dangling),
)
PRIORITY_LEVEL_CONFIGURATIONS = (
    NAME,
    Column("Type", field("spec.type")),
    Column("NominalConcurrencyShares", field("spec.limited.nominalConcurrencyShares", NONE)),
    Column("Queues", field("spec.limited.limitResponse.queuing.queues", NONE)),
    Column("HandSize", field("spec.limited.limitResponse.queuing.handSize", NONE)),
    Column("QueueLengthLimit", field("spec.limited.limitResponse.queuing.queueLengthLimit", NONE)),
    AGE,
)

WEBHOOK_CONFIGURATIONS = (NAME, Column("Webhooks", size("webhooks"), type="integer"), AGE)


def _param_kind(policy: Document, now: float) -> str:
    del now
    kind = at(policy, "spec.paramKind")
    return f"{kind.get('apiVersion')}/{kind.get('kind')}" if kind else UNSET


VALIDATING_POLICIES = (
    NAME,
    Column("Validations", size("spec.validations"), type="integer"),
    Column("ParamKind", _param_kind),
    AGE,
)
MUTATING_POLICIES = (
    NAME,
    Column("Mutations", size("spec.mutations"), type="integer"),
    Column("ParamKind", _param_kind),
    AGE,
)
POLICY_BINDINGS = (
    NAME,
    Column("PolicyName", field("spec.policyName")),
    Column("ParamRef", field("spec.paramRef.name", UNSET)),
    AGE,
)
NAMED = (NAME, AGE)
CLAIMS = (
    NAME,
    Column(
        "State", lambda claim, now: "allocated" if at(claim, "status.allocation") else "pending"
    ),
    AGE,
)
RESOURCE_SLICES = (
    NAME,
    Column("Node", field("spec.nodeName", NONE)),
    Column("Driver", field("spec.driver")),
    Column("Pool", field("spec.pool.name")),
    AGE,
)
