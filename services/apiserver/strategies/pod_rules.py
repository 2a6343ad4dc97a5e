"""Rules of a pod's spec beyond its schema, with Kubernetes' words and field paths."""

import posixpath
from collections.abc import Iterable
from typing import Any

from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names, quantity
from pilothouse.services.machinery.errors import Cause

PORT_MAX = 65535
DNS_NAMESERVERS_MAX = 3
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_PROBE_ACTIONS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_ACTIONS = ("exec", "httpGet", "tcpSocket", "sleep")
_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")


def check_spec(spec: Body, path: str = "spec") -> list[Cause]:
    """What is wrong with a pod's spec that stands at ``path``."""
    causes: list[Cause] = []
    if not spec.get("containers"):
        causes.append(names.required(f"{path}.containers"))
    causes += _choice(spec, "restartPolicy", _RESTART_POLICIES, path)
    causes += _choice(spec, "dnsPolicy", _DNS_POLICIES, path)
    volumes, found = _volumes(spec.get("volumes") or (), f"{path}.volumes")
    causes += found
    causes += _containers(spec, volumes, path)
    causes += _numbers(spec, path)
    causes += _host_network(spec, path)
    for field in ("nodeName", "serviceAccountName", "priorityClassName", "runtimeClassName"):
        if (value := spec.get(field)) and (wrong := names.subdomain(value)):
            causes.append(names.invalid(f"{path}.{field}", value, wrong))
    for field in ("hostname", "subdomain"):
        if (value := spec.get(field)) and (wrong := names.label(value)):
            causes.append(names.invalid(f"{path}.{field}", value, wrong))
    causes += names.check_labels(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        causes += _toleration(toleration, f"{path}.tolerations[{index}]")
    return causes


def _numbers(spec: Body, path: str) -> list[Cause]:
    causes = []
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        causes.append(_negative(f"{path}.terminationGracePeriodSeconds", spec))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and deadline < 1:
        detail = "must be greater than or equal to 1"
        causes.append(names.invalid(f"{path}.activeDeadlineSeconds", deadline, detail))
    return causes


def _negative(field: str, holder: Body) -> Cause:
    value = holder[field.rpartition(".")[2]]
    return names.invalid(field, value, "must be greater than or equal to 0")


def _host_network(spec: Body, path: str) -> list[Cause]:
    if not spec.get("hostNetwork"):
        return []
    return [
        names.invalid(
            f"{path}.containers[{index}].ports[{number}].containerPort",
            port.get("containerPort"),
            "must match `hostPort` when `hostNetwork` is true",
        )
        for index, container in enumerate(spec.get("containers") or ())
        for number, port in enumerate(container.get("ports") or ())
        if port.get("hostPort") and port["hostPort"] != port.get("containerPort")
    ]


def _choice(holder: Body, field: str, choices: tuple[str, ...], path: str) -> list[Cause]:
    value = holder.get(field)
    if not value or value in choices:
        return []
    return [names.unsupported(f"{path}.{field}", value, choices)]


def _volumes(volumes: Iterable[Body], path: str) -> tuple[set[str], list[Cause]]:
    seen: set[str] = set()
    causes: list[Cause] = []
    for index, volume in enumerate(volumes):
        where = f"{path}[{index}]"
        name = volume.get("name", "")
        if not name:
            causes.append(names.required(f"{where}.name"))
        elif wrong := names.label(name):
            causes.append(names.invalid(f"{where}.name", name, wrong))
        elif name in seen:
            causes.append(names.duplicate(f"{where}.name", name))
        seen.add(name)
        sources = [key for key, value in volume.items() if key != "name" and value is not None]
        if not sources:
            causes.append(names.required(where, "must specify a volume type"))
        causes += [
            names.forbidden(f"{where}.{source}", "may not specify more than 1 volume type")
            for source in sources[1:]
        ]
        host_path = (volume.get("hostPath") or {}).get("path", "")
        if ".." in host_path.split("/"):
            causes.append(
                names.invalid(f"{where}.hostPath.path", host_path, "must not contain '..'")
            )
    return seen, causes


def _containers(spec: Body, volumes: set[str], path: str) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    ports: set[tuple[Any, ...]] = set()
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            where = f"{path}.{field}[{index}]"
            causes += _container_name(container, seen, where)
            causes += _container(container, volumes, where)
            if field == "containers":
                causes += _host_ports(container, ports, where)
    return causes


def _container_name(container: Body, seen: set[str], where: str) -> list[Cause]:
    name = container.get("name", "")
    if not name:
        return [names.required(f"{where}.name")]
    if wrong := names.label(name):
        return [names.invalid(f"{where}.name", name, wrong)]
    if name in seen:
        return [names.duplicate(f"{where}.name", name)]
    seen.add(name)
    return []


def _container(container: Body, volumes: set[str], where: str) -> list[Cause]:
    causes: list[Cause] = []
    image = container.get("image", "")
    if not image:
        causes.append(names.required(f"{where}.image"))
    elif image != image.strip():
        detail = "must not have leading or trailing whitespace"
        causes.append(names.invalid(f"{where}.image", image, detail))
    causes += _choice(container, "imagePullPolicy", _PULL_POLICIES, where)
    causes += _ports(container.get("ports") or (), f"{where}.ports")
    causes += _environment(container.get("env") or (), f"{where}.env")
    causes += _mounts(container.get("volumeMounts") or (), volumes, f"{where}.volumeMounts")
    causes += check_resources(container.get("resources") or {}, f"{where}.resources")
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(field) is not None:
            causes += _probe(container[field], f"{where}.{field}")
    liveness = container.get("livenessProbe") or {}
    if liveness.get("successThreshold", 1) != 1:
        value = liveness["successThreshold"]
        causes.append(names.invalid(f"{where}.livenessProbe.successThreshold", value, "must be 1"))
    for name, hook in (container.get("lifecycle") or {}).items():
        if isinstance(hook, dict):
            causes += _one_action(hook, _HOOK_ACTIONS, f"{where}.lifecycle.{name}")
    return causes


def _ports(ports: Iterable[Body], path: str) -> list[Cause]:
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
            causes += check_port(number, f"{where}.containerPort")
        if port.get("hostPort"):
            causes += check_port(port["hostPort"], f"{where}.hostPort")
        causes += _choice(port, "protocol", _PROTOCOLS, where)
    return causes


def check_port(number: int, field: str) -> list[Cause]:
    """A port number lies between 1 and 65535."""
    if 1 <= number <= PORT_MAX:
        return []
    return [names.invalid(field, number, f"must be between 1 and {PORT_MAX}, inclusive")]


def _host_ports(container: Body, seen: set[tuple[Any, ...]], where: str) -> list[Cause]:
    causes = []
    for index, port in enumerate(container.get("ports") or ()):
        if not port.get("hostPort"):
            continue
        taken = (port.get("protocol"), port.get("hostIP", ""), port["hostPort"])
        if taken in seen:
            causes.append(names.duplicate(f"{where}.ports[{index}].hostPort", port["hostPort"]))
        seen.add(taken)
    return causes


def _environment(variables: Iterable[Body], path: str) -> list[Cause]:
    causes = []
    for index, variable in enumerate(variables):
        where = f"{path}[{index}]"
        name = variable.get("name", "")
        if not name:
            causes.append(names.required(f"{where}.name"))
        elif "=" in name or not name.isprintable():
            detail = "a valid environment variable name must consist only of printable ASCII "
            detail += "characters other than '='"
            causes.append(names.invalid(f"{where}.name", name, detail))
        source = variable.get("valueFrom")
        if source is not None:
            if variable.get("value"):
                detail = "may not be specified when `value` is not empty"
                causes.append(names.invalid(f"{where}.valueFrom", "", detail))
            if len([value for value in source.values() if value is not None]) != 1:
                detail = "must specify one of: `fieldRef`, `resourceFieldRef`, "
                detail += "`configMapKeyRef` or `secretKeyRef`"
                causes.append(names.invalid(f"{where}.valueFrom", "", detail))
    return causes


def _mounts(mounts: Iterable[Body], volumes: set[str], path: str) -> list[Cause]:
    causes = []
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        where = f"{path}[{index}]"
        name, target = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            causes.append(names.required(f"{where}.name"))
        elif name not in volumes:
            causes.append(Cause(f"{where}.name", f'Not found: "{name}"', "FieldValueNotFound"))
        if not target:
            causes.append(names.required(f"{where}.mountPath"))
        elif posixpath.normpath(target) in seen:
            causes.append(names.invalid(f"{where}.mountPath", target, "must be unique"))
        seen.add(posixpath.normpath(target))
        if sub_path := mount.get("subPath", ""):
            if sub_path.startswith("/"):
                detail = "must be a relative path"
                causes.append(names.invalid(f"{where}.subPath", sub_path, detail))
            elif ".." in sub_path.split("/"):
                detail = "must not contain '..'"
                causes.append(names.invalid(f"{where}.subPath", sub_path, detail))
    return causes


def check_resources(resources: Body, path: str) -> list[Cause]:
    """Amounts are not negative, and no request is over its limit."""
    causes = []
    limits = resources.get("limits") or {}
    for field in ("limits", "requests"):
        for name, amount in (resources.get(field) or {}).items():
            if quantity.parse(amount) < 0:
                detail = "must be greater than or equal to 0"
                causes.append(names.invalid(f"{path}.{field}[{name}]", str(amount), detail))
    for name, amount in (resources.get("requests") or {}).items():
        if name in limits and quantity.parse(amount) > quantity.parse(limits[name]):
            detail = f"must be less than or equal to {name} limit of {limits[name]}"
            causes.append(names.invalid(f"{path}.requests", str(amount), detail))
    return causes


def _probe(probe: Body, where: str) -> list[Cause]:
    causes = _one_action(probe, _PROBE_ACTIONS, where)
    for field in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "failureThreshold"):
        if probe.get(field, 0) < 0:
            detail = "must be greater than or equal to 0"
            causes.append(names.invalid(f"{where}.{field}", probe[field], detail))
    return causes


def _one_action(holder: Body, actions: tuple[str, ...], where: str) -> list[Cause]:
    given = [action for action in actions if holder.get(action) is not None]
    if not given:
        return [names.required(where, "must specify a handler type")]
    return [
        names.forbidden(f"{where}.{action}", "may not specify more than 1 handler type")
        for action in given[1:]
    ]


def _toleration(toleration: Body, where: str) -> list[Cause]:
    causes = _choice(toleration, "effect", _EFFECTS, where)
    key, operator = toleration.get("key", ""), toleration.get("operator", "Equal")
    if key and (wrong := names.qualified(key)):
        causes.append(names.invalid(f"{where}.key", key, wrong))
    if not key and operator != "Exists":
        detail = 'operator must be Exists when `key` is empty, which means "match all values and '
        causes.append(names.invalid(f"{where}.operator", operator, detail + 'all keys"'))
    if operator == "Exists" and toleration.get("value"):
        detail = "value must be empty when `operator` is 'Exists'"
        causes.append(names.invalid(f"{where}.operator", toleration["value"], detail))
    return causes
