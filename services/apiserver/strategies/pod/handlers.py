"""Rules of probes and lifecycle hooks."""

import re

from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

_PROBE_ACTIONS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_ACTIONS = ("exec", "httpGet", "tcpSocket", "sleep")
_SCHEMES = ("HTTP", "HTTPS")
_COUNTS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)
_HEADER = re.compile(r"[-A-Za-z0-9]+")
_HEADER_DETAIL = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', "
    "regex used for validation is '[-A-Za-z0-9]+')"
)


def check_probe(kind: str, probe: Body, where: str) -> list[Cause]:
    """A probe; ``kind`` is the member of the container that holds it."""
    causes = _one_action(probe, _PROBE_ACTIONS, where)
    for field in _COUNTS:
        if probe.get(field, 0) < 0:
            causes += names.check_least(probe[field], f"{where}.{field}")
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None:
        field = f"{where}.terminationGracePeriodSeconds"
        if grace <= 0:
            causes.append(names.invalid(field, grace, "must be greater than 0"))
        if kind == "readinessProbe":
            causes.append(names.invalid(field, grace, "must not be set for readinessProbes"))
    threshold = probe.get("successThreshold", 1)
    if kind != "readinessProbe" and threshold != 1:
        causes.append(names.invalid(f"{where}.successThreshold", threshold, "must be 1"))
    return causes


def check_lifecycle(lifecycle: Body, grace_seconds: int | None, where: str) -> list[Cause]:
    """The hooks after start and before stop."""
    causes: list[Cause] = []
    for hook in ("postStart", "preStop"):
        if lifecycle.get(hook) is not None:
            place = f"{where}.{hook}"
            causes += _one_action(lifecycle[hook], _HOOK_ACTIONS, place)
            causes += _sleep(lifecycle[hook].get("sleep"), grace_seconds, f"{place}.sleep")
    return causes


def _sleep(sleep: Body | None, grace_seconds: int | None, where: str) -> list[Cause]:
    if sleep is None or grace_seconds is None:
        return []
    seconds = sleep.get("seconds", 0)
    if 0 <= seconds <= grace_seconds:
        return []
    detail = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_seconds})"
    return [names.invalid(where, seconds, detail)]


def _one_action(holder: Body, actions: tuple[str, ...], where: str) -> list[Cause]:
    given = [action for action in actions if holder.get(action) is not None]
    if not given:
        return [names.required(where, "must specify a handler type")]
    causes = _action(given[0], holder[given[0]], f"{where}.{given[0]}")
    causes += [
        names.forbidden(f"{where}.{action}", "may not specify more than 1 handler type")
        for action in given[1:]
    ]
    return causes


def _action(name: str, action: Body, where: str) -> list[Cause]:
    match name:
        case "exec":
            return [] if action.get("command") else [names.required(f"{where}.command")]
        case "tcpSocket":
            return names.check_port_or_name(action.get("port", 0), f"{where}.port")
        case "grpc":
            return names.check_port(action.get("port", 0), f"{where}.port")
        case "httpGet":
            return _http(action, where)
    return []


def _http(action: Body, where: str) -> list[Cause]:
    causes = [] if action.get("path") else [names.required(f"{where}.path")]
    causes += names.check_port_or_name(action.get("port", 0), f"{where}.port")
    scheme = action.get("scheme", "")
    if scheme not in _SCHEMES:
        causes.append(names.unsupported(f"{where}.scheme", scheme, _SCHEMES))
    for header in action.get("httpHeaders") or ():
        name = header.get("name", "")
        if not _HEADER.fullmatch(name):
            causes.append(names.invalid(f"{where}.httpHeaders", name, _HEADER_DETAIL))
    return causes
