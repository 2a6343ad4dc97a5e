"""The columns of nodes, namespaces, events, configuration, accounts and roles."""

from collections.abc import Callable, Mapping

from pilothouse.services.apiserver.rest.tables import ages
from pilothouse.services.apiserver.rest.tables.column import (
    AGE,
    CREATED_AT,
    NAME,
    NONE,
    UNKNOWN,
    Column,
    Document,
    at,
    field,
    number,
    size,
)

ROLE_PREFIX = "node-role.kubernetes.io/"
ROLE_LABEL = "kubernetes.io/role"


def _node_status(node: Document, now: float) -> str:
    del now
    conditions = at(node, "status.conditions") or ()
    states = [item.get("status") for item in conditions if item.get("type") == "Ready"]
    word = "Unknown" if not states else "Ready" if states[0] == "True" else "NotReady"
    return word + (",SchedulingDisabled" if at(node, "spec.unschedulable") else "")


def _node_roles(node: Document, now: float) -> str:
    del now
    labels: Mapping[str, str] = at(node, "metadata.labels") or {}
    roles = {key[len(ROLE_PREFIX) :] for key in labels if key.startswith(ROLE_PREFIX)}
    if labels.get(ROLE_LABEL):
        roles.add(labels[ROLE_LABEL])
    return ",".join(sorted(role for role in roles if role)) or NONE


def _address(kind: str) -> Callable[[Document, float], str]:
    def cell(node: Document, now: float) -> str:
        del now
        addresses = at(node, "status.addresses") or ()
        return next((item["address"] for item in addresses if item.get("type") == kind), NONE)

    return cell


NODES = (
    NAME,
    Column("Status", _node_status),
    Column("Roles", _node_roles),
    AGE,
    Column("Version", field("status.nodeInfo.kubeletVersion")),
    Column("Internal-IP", _address("InternalIP"), wide=True),
    Column("External-IP", _address("ExternalIP"), wide=True),
    Column("OS-Image", field("status.nodeInfo.osImage", UNKNOWN), wide=True),
    Column("Kernel-Version", field("status.nodeInfo.kernelVersion", UNKNOWN), wide=True),
    Column(
        "Container-Runtime", field("status.nodeInfo.containerRuntimeVersion", UNKNOWN), wide=True
    ),
)

NAMESPACES = (NAME, Column("Status", field("status.phase")), AGE)


def _first_seen(event: Document, now: float) -> str:
    return ages.since(event.get("firstTimestamp") or event.get("eventTime"), now)


def _last_seen(event: Document, now: float) -> str:
    last = at(event, "series.lastObservedTime") or event.get("lastTimestamp")
    return ages.since(last, now) if last else _first_seen(event, now)


def _event_object(event: Document, now: float) -> str:
    del now
    about = event.get("involvedObject") or event.get("regarding") or {}
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _event_subobject(event: Document, now: float) -> str:
    del now
    about = event.get("involvedObject") or event.get("regarding") or {}
    return str(about.get("fieldPath", ""))


def _event_source(event: Document, now: float) -> str:
    del now
    source = event.get("source") or event.get("deprecatedSource") or {}
    component = source.get("component") or event.get("reportingComponent", "")
    component = component or event.get("reportingController", "")
    host = source.get("host") or event.get("reportingInstance", "")
    return f"{component}, {host}" if host else str(component)


def _event_count(event: Document, now: float) -> int:
    del now
    return int(at(event, "series.count") or event.get("count") or event.get("deprecatedCount") or 1)


def _event_message(event: Document, now: float) -> str:
    del now
    return str(event.get("message") or event.get("note") or "").strip()


EVENTS = (
    Column("Last Seen", _last_seen),
    Column("Type", field("type")),
    Column("Reason", field("reason")),
    Column("Object", _event_object),
    Column("Subobject", _event_subobject, wide=True),
    Column("Source", _event_source, wide=True),
    Column("Message", _event_message),
    Column("First Seen", _first_seen, wide=True),
    Column("Count", _event_count, type="integer", wide=True),
    Column("Name", field("metadata.name"), format="name", wide=True),
)


def _config_size(config: Document, now: float) -> int:
    del now
    return len(config.get("data") or ()) + len(config.get("binaryData") or ())


CONFIG_MAPS = (NAME, Column("Data", _config_size, type="integer"), AGE)
SECRETS = (
    NAME,
    Column("Type", field("type")),
    Column("Data", size("data"), type="integer"),
    AGE,
)
SERVICE_ACCOUNTS = (NAME, Column("Secrets", size("secrets"), type="integer"), AGE)
LEASES = (NAME, Column("Holder", field("spec.holderIdentity")), AGE)
LIMIT_RANGES = (NAME, CREATED_AT)


def _quota(prefix: str) -> Callable[[Document, float], str]:
    """Requests (everything but limits), or limits, each as ``name: used/hard``."""

    def cell(quota: Document, now: float) -> str:
        del now
        hard = at(quota, "status.hard") or {}
        used = at(quota, "status.used") or {}
        names = sorted(n for n in hard if n.startswith("limits.") == (prefix == "limits."))
        return ", ".join(f"{name}: {used.get(name, 0)}/{hard[name]}" for name in names)

    return cell


RESOURCE_QUOTAS = (
    NAME,
    Column("Request", _quota("")),
    Column("Limit", _quota("limits.")),
    AGE,
)


def _component(part: str) -> Callable[[Document, float], str]:
    def cell(component: Document, now: float) -> str:
        del now
        conditions = component.get("conditions") or ()
        condition: Document = next((c for c in conditions if c.get("type") == "Healthy"), {})
        if part == "status":
            words = {"True": "Healthy", "False": "Unhealthy"}
            return words.get(condition.get("status", ""), "Unknown")
        return str(condition.get(part) or "")

    return cell


COMPONENT_STATUSES = (
    NAME,
    Column("Status", _component("status")),
    Column("Message", _component("message")),
    Column("Error", _component("error")),
)

PRIORITY_CLASSES = (
    NAME,
    Column("Value", number("value"), type="integer"),
    Column("Global-Default", lambda item, now: bool(item.get("globalDefault")), type="boolean"),
    AGE,
    Column("PreemptionPolicy", field("preemptionPolicy")),
)

RUNTIME_CLASSES = (NAME, Column("Handler", field("handler")), AGE)
