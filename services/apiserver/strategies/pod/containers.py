"""Rules of containers: init containers, sidecars, the others, and ephemeral ones."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pilothouse.services.apiserver.strategies.pod.environment import check_env, check_env_from
from pilothouse.services.apiserver.strategies.pod.handlers import check_lifecycle, check_probe
from pilothouse.services.apiserver.strategies.pod.mounts import check_devices, check_mounts
from pilothouse.services.apiserver.strategies.pod.security import check_container_context
from pilothouse.services.apiserver.strategies.quantities import check_requirements
from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
PROTOCOLS = ("SCTP", "TCP", "UDP")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_RESIZE = ("NotRequired", "RestartContainer")
_RESIZED = ("cpu", "memory")
_RESTARTS = ("Always", "Never", "OnFailure")
RULES_MAX = 20
CODES_MAX = 255
_RESTART_ACTIONS = ("Restart", "RestartAllContainers")
_CODE_OPERATORS = ("In", "NotIn")
_EPHEMERAL_FIELDS = frozenset(
    {
        "name", "image", "command", "args", "workingDir", "env", "envFrom", "volumeMounts",
        "volumeDevices", "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy",
        "securityContext", "stdin", "stdinOnce", "tty", "targetContainerName",
    }
)  # fmt: skip
_NOT_SIDECAR = "may not be set for init containers without restartPolicy=Always"
_NOT_EPHEMERAL = "cannot be set for an Ephemeral Container"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a container sees of its pod. ``real`` is false in a template."""

    volumes: Mapping[str, Body]
    claims: frozenset[str]
    grace_seconds: int | None
    restart_policy: str
    host_users: bool
    real: bool


def check_containers(spec: Body, setting: Setting, path: str) -> list[Cause]:
    """All containers of a pod's spec."""
    regular = spec.get("containers") or ()
    causes = _regular(regular, setting, f"{path}.containers")
    if init := spec.get("initContainers"):
        taken = {container.get("name") for container in regular}
        causes += _init(init, taken, setting, f"{path}.initContainers")
    if spec.get("ephemeralContainers"):
        causes += _ephemeral(spec, setting, f"{path}.ephemeralContainers")
    return causes


def _regular(containers: Iterable[Body], setting: Setting, path: str) -> list[Cause]:
    causes: list[Cause] = [] if containers else [names.required(path)]
    seen: set[str] = set()
    ports: set[str] = set()
    for index, container in enumerate(containers):
        where, name = f"{path}[{index}]", container.get("name", "")
        causes += _container(container, setting, where)
        if name in seen:
            causes.append(names.duplicate(f"{where}.name", name))
        seen.add(name)
        causes += _actions(container, setting, where)
        causes += _restarts(container, where)
        if container.get("ports"):
            causes += _host_ports(container["ports"], ports, f"{where}.ports")
    return causes


def _restarts(container: Body, where: str) -> list[Cause]:
    policy = container.get("restartPolicy")
    rules = container.get("restartPolicyRules") or ()
    causes = []
    if policy is not None and policy not in _RESTARTS:
        causes.append(names.unsupported(f"{where}.restartPolicy", policy, _RESTARTS))
    if rules and policy is None:
        detail = "must specify restartPolicy when restart rules are used"
        causes.append(names.required(f"{where}.restartPolicy", detail))
    if len(rules) > RULES_MAX:
        causes.append(names.too_many(f"{where}.restartPolicyRules", len(rules), RULES_MAX))
    for index, rule in enumerate(rules):
        causes += _restart_rule(rule, f"{where}.restartPolicyRules[{index}]")
    return causes


def _restart_rule(rule: Body, where: str) -> list[Cause]:
    """With which exit codes a container starts again, whatever its policy."""
    causes = []
    action, codes = rule.get("action", ""), rule.get("exitCodes")
    if action not in _RESTART_ACTIONS:
        causes.append(names.unsupported(f"{where}.action", action, _RESTART_ACTIONS))
    if codes is None:
        return [*causes, names.required(f"{where}.exitCodes", "must be specified")]
    operator, values = codes.get("operator", ""), codes.get("values") or ()
    if operator not in _CODE_OPERATORS:
        field = f"{where}.exitCodes.operator"
        causes.append(names.unsupported(field, operator, _CODE_OPERATORS))
    if len(values) > CODES_MAX:
        causes.append(names.too_many(f"{where}.exitCodes.values", len(values), CODES_MAX))
    return causes


def _init(containers: Iterable[Body], taken: set[Any], setting: Setting, path: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, container in enumerate(containers):
        where, name = f"{path}[{index}]", container.get("name", "")
        causes += _container(container, setting, where)
        if container.get("restartPolicy") is not None:
            causes += _restarts(container, where)
        if name in taken:
            causes.append(names.duplicate(f"{where}.name", name))
        taken.add(name)
        if container.get("ports"):
            causes += _host_ports(container["ports"], set(), f"{where}.ports")
        if container.get("restartPolicy") == "Always":
            causes += _actions(container, setting, where)
            continue
        causes += [
            names.forbidden(f"{where}.{field}", _NOT_SIDECAR)
            for field in ("lifecycle", *PROBES)
            if container.get(field) is not None
        ]
    return causes


def _ephemeral(spec: Body, setting: Setting, path: str) -> list[Cause]:
    causes: list[Cause] = []
    others = {
        container.get("name")
        for field in ("initContainers", "containers")
        for container in spec.get(field) or ()
    }
    taken = set(others)
    for index, container in enumerate(spec["ephemeralContainers"]):
        where, name = f"{path}[{index}]", container.get("name", "")
        causes += _container(container, setting, where)
        if name in taken:
            causes.append(names.duplicate(f"{where}.name", name))
        taken.add(name)
        target = container.get("targetContainerName")
        if target and target not in others:
            causes.append(names.not_found(f"{where}.targetContainerName", target))
        causes += [
            names.forbidden(f"{where}.{field}", _NOT_EPHEMERAL)
            for field, value in container.items()
            if field not in _EPHEMERAL_FIELDS and value
        ]
        causes += [
            names.forbidden(f"{where}.volumeMounts[{number}].{field}", _NOT_EPHEMERAL)
            for number, mount in enumerate(container.get("volumeMounts") or ())
            for field in ("subPath", "subPathExpr")
            if mount.get(field)
        ]
    return causes


def _container(container: Body, setting: Setting, where: str) -> list[Cause]:
    name, image = container.get("name", ""), container.get("image", "")
    causes = (
        names.check(names.label, name, f"{where}.name")
        if name
        else [names.required(f"{where}.name")]
    )
    if not image:
        causes.append(names.required(f"{where}.image"))
    elif setting.real and image != image.strip():
        detail = "must not have leading or trailing whitespace"
        causes.append(names.invalid(f"{where}.image", image, detail))
    policy = container.get("terminationMessagePolicy", "File")
    if policy not in _MESSAGE_POLICIES:
        field = f"{where}.terminationMessagePolicy"
        causes.append(names.unsupported(field, policy, _MESSAGE_POLICIES))
    policy = container.get("imagePullPolicy") or "Always"
    if policy not in _PULL_POLICIES:
        causes.append(names.unsupported(f"{where}.imagePullPolicy", policy, _PULL_POLICIES))
    for field, rule in _PARTS:
        if (value := container.get(field)) is not None:
            causes += rule(value, container, setting, f"{where}.{field}")
    return causes


def _actions(container: Body, setting: Setting, where: str) -> list[Cause]:
    causes: list[Cause] = []
    if container.get("lifecycle"):
        grace = setting.grace_seconds
        causes += check_lifecycle(container["lifecycle"], grace, f"{where}.lifecycle")
    for field in PROBES:
        if container.get(field) is not None:
            causes += check_probe(field, container[field], f"{where}.{field}")
    return causes


def _ports(ports: Iterable[Body], _container: Body, _setting: Setting, path: str) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        where = f"{path}[{index}]"
        if name := port.get("name"):
            if wrong := names.port_name(name):
                causes.append(names.invalid(f"{where}.name", name, wrong))
            elif name in seen:
                causes.append(names.duplicate(f"{where}.name", name))
            seen.add(name)
        number = port.get("containerPort", 0)
        if not number:
            causes.append(names.required(f"{where}.containerPort"))
        else:
            causes += names.check_port(number, f"{where}.containerPort")
        if port.get("hostPort"):
            causes += names.check_port(port["hostPort"], f"{where}.hostPort")
        protocol = port.get("protocol", "TCP")
        if protocol not in PROTOCOLS:
            causes.append(names.unsupported(f"{where}.protocol", protocol, PROTOCOLS))
    return causes


def _host_ports(ports: Iterable[Body], seen: set[str], path: str) -> list[Cause]:
    causes = []
    for index, port in enumerate(ports):
        if not port.get("hostPort"):
            continue
        taken = f"{port.get('protocol', 'TCP')}/{port.get('hostIP', '')}/{port['hostPort']}"
        if taken in seen:
            causes.append(names.duplicate(f"{path}[{index}].hostPort", taken))
        seen.add(taken)
    return causes


def _env(value: Any, _container: Body, _setting: Setting, where: str) -> list[Cause]:
    return check_env(value, where)


def _env_from(value: Any, _container: Body, _setting: Setting, where: str) -> list[Cause]:
    return check_env_from(value, where)


def _mounts(value: Any, container: Body, setting: Setting, where: str) -> list[Cause]:
    return check_mounts(value, container, setting.volumes, where)


def _devices(value: Any, container: Body, setting: Setting, where: str) -> list[Cause]:
    return check_devices(value, container, setting.volumes, where)


def _resources(value: Any, _container: Body, setting: Setting, where: str) -> list[Cause]:
    return check_requirements(value, where, setting.claims) if value else []


def _context(value: Any, _container: Body, setting: Setting, where: str) -> list[Cause]:
    return check_container_context(value, where, host_users=setting.host_users)


def _resize(policies: Any, _container: Body, setting: Setting, where: str) -> list[Cause]:
    causes = []
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        name, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if name in seen:
            causes.append(names.duplicate(f"{where}[{index}]", name))
        seen.add(name)
        for value, choices in ((name, _RESIZED), (restart, _RESIZE)):
            if not value:
                causes.append(names.required(where))
            elif value not in choices:
                causes.append(names.unsupported(where, value, choices))
        if setting.restart_policy == "Never" and restart != "NotRequired":
            detail = "must be 'NotRequired' when `restartPolicy` is 'Never'"
            causes.append(names.invalid(where, restart, detail))
    return causes


_PARTS: tuple[tuple[str, Callable[[Any, Body, Setting, str], list[Cause]]], ...] = (
    ("ports", _ports),
    ("env", _env),
    ("envFrom", _env_from),
    ("volumeMounts", _mounts),
    ("volumeDevices", _devices),
    ("resources", _resources),
    ("resizePolicy", _resize),
    ("securityContext", _context),
)
