"""Rules of a pod's spec beyond its schema, with Kubernetes' words and field paths."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from pilothouse.services.apiserver.strategies.pod import placement, security
from pilothouse.services.apiserver.strategies.pod.containers import Setting, check_containers
from pilothouse.services.apiserver.strategies.pod.pod_totals import check_pod_resources
from pilothouse.services.apiserver.strategies.pod.volumes import check_volumes
from pilothouse.services.apiserver.strategies.quantities import check_requirements
from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

Part: TypeAlias = Callable[[Any, Body, str], list[Cause]]
"""Takes the value of a field, the whole spec, and the field's path."""

DNS_SERVERS_MAX = 3
DNS_SEARCHES_MAX = 32
DNS_SEARCH_LETTERS_MAX = 2048
SECONDS_MAX = 2**31 - 1
HOST_NAME_MAX = 64
_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION = ("PreemptLowerPriority", "Never")


def check_spec(
    spec: Body, path: str = "spec", *, pod_name: str = "", real: bool = False
) -> list[Cause]:
    """What is wrong with a spec at ``path``; ``real`` when it is a pod's and no template's."""
    volumes: dict[str, Body] = {}
    causes: list[Cause] = []
    if spec.get("volumes"):
        volumes, causes = check_volumes(spec["volumes"], f"{path}.volumes", pod_name)
    claims: frozenset[str] = frozenset()
    if spec.get("resourceClaims"):
        causes += _resource_claims(spec["resourceClaims"], f"{path}.resourceClaims")
        claims = frozenset(claim.get("name", "") for claim in spec["resourceClaims"])
    setting = Setting(
        volumes=volumes,
        claims=claims,
        grace_seconds=spec.get("terminationGracePeriodSeconds"),
        restart_policy=spec.get("restartPolicy", "Always"),
        host_users=spec.get("hostUsers") is not False,
        real=real,
    )
    causes += check_containers(spec, setting, path)
    if spec.get("hostNetwork"):
        causes += _host_network(spec, path, real=real)
    for field, rule in _PARTS:
        value = spec.get(field)
        if value is not None:
            causes += rule(value, spec, f"{path}.{field}")
    if spec.get("dnsPolicy") == "None":
        causes += _own_dns(spec.get("dnsConfig"), f"{path}.dnsConfig")
    if spec.get("os") is not None:
        causes += security.check_os(spec, path)
    if not setting.host_users:
        causes += _host_users(spec, path)
    return causes


def check_template(template: Body, path: str) -> list[Cause]:
    """A pod template: labels and annotations, then the spec."""
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    causes: list[Cause] = []
    if metadata.get("labels"):
        causes += names.check_labels(metadata["labels"], f"{path}.labels")
    if metadata.get("annotations"):
        causes += names.check_annotations(metadata["annotations"], f"{path}.annotations")
    causes += check_spec(spec, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        detail = "ephemeral containers not allowed in pod template"
        causes.append(names.forbidden(f"{path}.spec.ephemeralContainers", detail))
    return causes


def _choice(*choices: str) -> Part:
    def check(value: Any, _spec: Body, field: str) -> list[Cause]:
        return [] if value in choices else [names.unsupported(field, value, choices)]

    return check


def _named(rule: names.Rule) -> Part:
    def check(value: Any, _spec: Body, field: str) -> list[Cause]:
        return names.check(rule, value, field) if value else []

    return check


def _resource_claims(claims: Iterable[Body], path: str) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        where, name = f"{path}[{index}]", claim.get("name", "")
        if not name:
            causes.append(names.required(f"{where}.name"))
        elif name in seen:
            causes.append(names.duplicate(f"{where}.name", name))
        else:
            causes += names.check(names.label, name, f"{where}.name")
        seen.add(name)
        given = [
            field
            for field in ("resourceClaimName", "resourceClaimTemplateName")
            if claim.get(field) is not None
        ]
        if len(given) != 1:
            detail = (
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
                if given
                else "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            )
            causes.append(names.invalid(where, claim, detail))
        for field in given:
            causes += names.check(names.subdomain, claim[field], f"{where}.{field}")
    return causes


def _host_network(spec: Body, path: str, *, real: bool) -> list[Cause]:
    return [
        names.invalid(
            f"{path}.containers[{index}].ports[{number}].hostPort",
            port.get("hostPort", 0),
            "must match `containerPort` when `hostNetwork` is true",
        )
        for index, container in enumerate(spec.get("containers") or ())
        for number, port in enumerate(container.get("ports") or ())
        if (real or port.get("hostPort")) and port.get("hostPort") != port.get("containerPort")
    ]


def _host_users(spec: Body, path: str) -> list[Cause]:
    detail = "when `pod.Spec.HostUsers` is false"
    fields = (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC"))
    return [names.forbidden(f"{path}.{shown}", detail) for name, shown in fields if spec.get(name)]


def _context(value: Any, spec: Body, field: str) -> list[Cause]:
    return security.check_pod_context(value, spec, field)


def _shared_processes(value: Any, spec: Body, field: str) -> list[Cause]:
    if not (value and spec.get("hostPID")):
        return []
    where = field.rpartition(".")[0] + ".securityContext.shareProcessNamespace"
    detail = "ShareProcessNamespace and HostPID cannot both be enabled"
    return [names.invalid(where, value, detail)]


def _labels(value: Any, _spec: Body, field: str) -> list[Cause]:
    return names.check_labels(value, field)


def _affinity(value: Any, _spec: Body, field: str) -> list[Cause]:
    return placement.check_affinity(value, field)


def _tolerations(value: Any, _spec: Body, field: str) -> list[Cause]:
    return placement.check_tolerations(value, field)


def _spread(value: Any, _spec: Body, field: str) -> list[Cause]:
    return placement.check_spread(value, field)


def _overhead(value: Any, _spec: Body, field: str) -> list[Cause]:
    return check_requirements({"limits": value}, field)


def _deadline(value: Any, _spec: Body, field: str) -> list[Cause]:
    return names.check_range(value, 1, SECONDS_MAX, field)


def _own_dns(config: Body | None, path: str) -> list[Cause]:
    if config is None:
        detail = "must provide `dnsConfig` when `dnsPolicy` is None"
        return [names.required(path, detail)]
    if not config.get("nameservers"):
        detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        return [names.required(f"{path}.nameservers", detail)]
    return []


def _dns(config: Body, _spec: Body, path: str) -> list[Cause]:
    causes: list[Cause] = []
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > DNS_SERVERS_MAX:
        detail = f"must not have more than {DNS_SERVERS_MAX} nameservers"
        causes.append(names.invalid(f"{path}.nameservers", servers, detail))
    for index, server in enumerate(servers):
        causes += names.check(names.address, server, f"{path}.nameservers[{index}]")
    if len(searches) > DNS_SEARCHES_MAX:
        detail = f"must not have more than {DNS_SEARCHES_MAX} search paths"
        causes.append(names.invalid(f"{path}.searches", searches, detail))
    if len(" ".join(searches)) > DNS_SEARCH_LETTERS_MAX:
        detail = f"must not have more than {DNS_SEARCH_LETTERS_MAX} characters (including spaces) "
        causes.append(names.invalid(f"{path}.searches", searches, detail + "in the search list"))
    for index, search in enumerate(searches):
        # Underscores are allowed here, as in SRV records.
        plain = search.removesuffix(".").replace("_", "-") if search != "." else "a"
        if wrong := names.subdomain(plain.strip("-") or search):
            causes.append(names.invalid(f"{path}.searches[{index}]", search, wrong))
    causes += [
        names.required(f"{path}.options[{index}]", "must not be empty")
        for index, option in enumerate(config.get("options") or ())
        if not option.get("name")
    ]
    return causes


def _readiness_gates(gates: Any, _spec: Body, path: str) -> list[Cause]:
    return [
        cause
        for index, gate in enumerate(gates)
        for cause in names.check(
            names.qualified, gate.get("conditionType", ""), f"{path}[{index}].conditionType"
        )
    ]


def _scheduling_gates(gates: Any, _spec: Body, path: str) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, gate in enumerate(gates):
        name = gate.get("name", "")
        causes += names.check(names.qualified, name, f"{path}[{index}]")
        if name in seen:
            causes.append(names.duplicate(f"{path}[{index}]", name))
        seen.add(name)
    return causes


def _host_name(name: Any, spec: Body, field: str) -> list[Cause]:
    """A name that the pod has instead of its own, and then in no other way."""
    path = field.rpartition(".")[0]
    detail = "may not be specified when `hostnameOverride` is specified"
    causes = [
        names.forbidden(f"{path}.{other}", detail)
        for other in ("setHostnameAsFQDN", "hostNetwork")
        if spec.get(other)
    ]
    if len(name) > HOST_NAME_MAX:
        causes.append(names.too_long(field, HOST_NAME_MAX))
    return causes + names.check(names.subdomain, name, field)


def _host_aliases(aliases: Any, _spec: Body, path: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, alias in enumerate(aliases):
        causes += names.check(names.address, alias.get("ip", ""), f"{path}[{index}].ip")
        for number, host in enumerate(alias.get("hostnames") or ()):
            causes += names.check(names.subdomain, host, f"{path}[{index}].hostnames[{number}]")
    return causes


_PARTS: tuple[tuple[str, Part], ...] = (
    ("resources", check_pod_resources),
    ("restartPolicy", _choice(*_RESTART_POLICIES)),
    ("dnsPolicy", _choice(*_DNS_POLICIES)),
    ("nodeSelector", _labels),
    ("securityContext", _context),
    ("shareProcessNamespace", _shared_processes),
    ("affinity", _affinity),
    ("dnsConfig", _dns),
    ("readinessGates", _readiness_gates),
    ("schedulingGates", _scheduling_gates),
    ("topologySpreadConstraints", _spread),
    ("serviceAccountName", _named(names.subdomain)),
    ("nodeName", _named(names.subdomain)),
    ("activeDeadlineSeconds", _deadline),
    ("hostname", _named(names.label)),
    ("subdomain", _named(names.label)),
    ("hostnameOverride", _host_name),
    ("tolerations", _tolerations),
    ("hostAliases", _host_aliases),
    ("priorityClassName", _named(names.subdomain)),
    ("runtimeClassName", _named(names.subdomain)),
    ("preemptionPolicy", _choice(*_PREEMPTION)),
    ("overhead", _overhead),
)
