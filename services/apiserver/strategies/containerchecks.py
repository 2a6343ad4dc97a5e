"""The rules of one container."""

from collections.abc import Collection, Iterator
from typing import Any

from pilothouse.services.apiserver.strategies.strategy import Document
from pilothouse.services.machinery import names, quantity
from pilothouse.services.machinery.errors import Cause

PORT_MAX = 65535
PROTOCOLS = ("SCTP", "TCP", "UDP")
_PULL = ("Always", "IfNotPresent", "Never")
_MESSAGES = ("FallbackToLogsOnError", "File")
_ACTIONS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def check(container: Document, path: str, volumes: Collection[Any]) -> list[Cause]:
    """What is wrong with a container at ``path`` of a pod with these volumes."""
    causes: list[Cause] = []
    name = container.get("name", "")
    if not name:
        causes.append(names.required(f"{path}.name"))
    elif wrong := names.label(name):
        causes.append(names.invalid(f"{path}.name", name, wrong))
    image = container.get("image", "")
    if not image and not path.startswith("spec.template"):
        causes.append(names.required(f"{path}.image"))
    elif image != image.strip():
        causes.append(
            names.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
        )
    if container["imagePullPolicy"] not in _PULL:
        causes.append(
            names.unsupported(f"{path}.imagePullPolicy", container["imagePullPolicy"], _PULL)
        )
    policy = container["terminationMessagePolicy"]
    if policy not in _MESSAGES:
        causes.append(names.unsupported(f"{path}.terminationMessagePolicy", policy, _MESSAGES))
    causes += _ports(container, path)
    causes += _variables(container, path)
    causes += _mounts(container, path, volumes)
    causes += _resources(container["resources"], path)
    causes += _actions(container, path)
    return causes


def check_port(value: Any, field: str) -> Iterator[Cause]:
    """A port number."""
    if not 0 < value <= PORT_MAX:
        yield names.invalid(field, value, f"must be between 1 and {PORT_MAX}, inclusive")


def _ports(container: Document, path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, port in enumerate(container.get("ports") or ()):
        place = f"{path}.ports[{index}]"
        name = port.get("name")
        if name:
            if wrong := names.port_name(name):
                yield names.invalid(f"{place}.name", name, wrong)
            elif name in seen:
                yield names.duplicate(f"{place}.name", name)
            seen.add(name)
        number = port.get("containerPort", 0)
        if not number:
            yield names.required(f"{place}.containerPort")
        else:
            yield from check_port(number, f"{place}.containerPort")
        if port.get("hostPort"):
            yield from check_port(port["hostPort"], f"{place}.hostPort")
        if port["protocol"] not in PROTOCOLS:
            yield names.unsupported(f"{place}.protocol", port["protocol"], PROTOCOLS)


def _variables(container: Document, path: str) -> Iterator[Cause]:
    for index, variable in enumerate(container.get("env") or ()):
        place = f"{path}.env[{index}]"
        name = variable.get("name", "")
        if not name:
            yield names.required(f"{place}.name")
        elif "=" in name or not name.isprintable():
            yield names.invalid(
                f"{place}.name", name, "a valid environment variable name must consist only of "
                "printable ASCII characters other than '='",
            )  # fmt: skip
        source = variable.get("valueFrom")
        if source is not None and variable.get("value"):
            yield names.invalid(
                f"{place}.valueFrom", "", "may not be specified when `value` is not empty"
            )
        if source is not None and len(source) != 1:
            yield names.invalid(
                f"{place}.valueFrom", "", "must specify one of: `fieldRef`, `resourceFieldRef`, "
                "`configMapKeyRef` or `secretKeyRef`",
            )  # fmt: skip


def _mounts(container: Document, path: str, volumes: Collection[Any]) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        place = f"{path}.volumeMounts[{index}]"
        name = mount.get("name", "")
        if not name:
            yield names.required(f"{place}.name")
        elif name not in volumes:
            message = f'Not found: "{name}"'
            yield Cause(f"{place}.name", message, "FieldValueNotFound")
        target = mount.get("mountPath", "")
        if not target:
            yield names.required(f"{place}.mountPath")
        elif target in seen:
            yield names.invalid(f"{place}.mountPath", target, "must be unique")
        seen.add(target)
        inner = mount.get("subPath", "")
        if inner.startswith("/"):
            yield names.invalid(f"{place}.subPath", inner, "must be a relative path")
        if ".." in inner.split("/"):
            yield names.invalid(f"{place}.subPath", inner, "must not contain '..'")


def _resources(resources: Document, path: str) -> Iterator[Cause]:
    limits = resources.get("limits") or {}
    requests = resources.get("requests") or {}
    for member, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            if str(amount).startswith("-"):
                field = f"{path}.resources.{member}[{name}]"
                yield names.invalid(field, amount, "must be greater than or equal to 0")
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is None or limit == amount:
            continue
        if quantity.parse(amount) > quantity.parse(limit):
            yield names.invalid(
                f"{path}.resources.requests", amount,
                f"must be less than or equal to {name} limit of {limit}",
            )  # fmt: skip


def _actions(container: Document, path: str) -> Iterator[Cause]:
    for name in _PROBES:
        if name in container:
            yield from _probe(container[name], f"{path}.{name}", live=name != "readinessProbe")
    for name in ("postStart", "preStop"):
        hook = (container.get("lifecycle") or {}).get(name)
        if hook is not None:
            yield from _action(hook, f"{path}.lifecycle.{name}")


def _probe(probe: Document, path: str, *, live: bool) -> Iterator[Cause]:
    yield from _action(probe, path)
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold",
                 "failureThreshold"):  # fmt: skip
        value = probe.get(name, 0)
        if value < 0:
            yield names.invalid(f"{path}.{name}", value, "must be greater than or equal to 0")
    if live and probe["successThreshold"] != 1:
        yield names.invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")


def _action(action: Document, path: str) -> Iterator[Cause]:
    given = [name for name in _ACTIONS if name in action]
    if not given:
        yield names.required(path, "must specify a handler type")
    for name in given[1:]:
        yield names.forbidden(f"{path}.{name}", "may not specify more than 1 handler type")
    for name in given:
        port = action[name].get("port") if name in {"httpGet", "tcpSocket", "grpc"} else None
        if isinstance(port, int):
            yield from check_port(port, f"{path}.{name}.port")
        elif isinstance(port, str) and (wrong := names.port_name(port)):
            yield names.invalid(f"{path}.{name}.port", port, wrong)
    if "exec" in action and not action["exec"].get("command"):
        yield names.required(f"{path}.exec.command")
