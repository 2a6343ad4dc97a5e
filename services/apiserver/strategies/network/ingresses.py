"""Ingresses."""

import re

from pilothouse.services.apiserver.strategies.network.services import check_host
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
_SUFFIXES = ("/..", "/.")
_CLASS = "kubernetes.io/ingress.class"
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_WILDCARD = rf"\*\.{_LABEL}(\.{_LABEL})*"
_WILDCARD_FORM = re.compile(_WILDCARD)
_WRONG_WILDCARD = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
    "must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric "
    f"character (e.g. '*.example.com', regex used for validation is '{_WILDCARD}')"
)


def wildcard(name: str) -> str:
    """``*.example.com``."""
    return "" if _WILDCARD_FORM.fullmatch(name) else _WRONG_WILDCARD


def _check(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    rules, backend = spec.get("rules") or [], spec.get("defaultBackend")
    causes: list[Cause] = []
    if not rules and backend is None:
        detail = "either `defaultBackend` or `rules` must be specified"
        causes.append(names.invalid("spec", spec.get("rules"), detail))
    if backend is not None:
        causes += _backend(backend, "spec.defaultBackend")
    for index, rule in enumerate(rules):
        where = f"spec.rules[{index}]"
        if rule.get("host"):
            causes += _host(rule["host"], f"{where}.host")
        if rule.get("http") is not None:
            causes += _paths(rule["http"].get("paths") or [], f"{where}.http.paths")
    for index, tls in enumerate(spec.get("tls") or ()):
        where = f"spec.tls[{index}]"
        for number, host in enumerate(tls.get("hosts") or ()):
            rule_of = wildcard if "*" in host else names.subdomain
            causes += names.check(rule_of, host, f"{where}.hosts[{number}]")
        if tls.get("secretName"):
            causes += names.check(names.subdomain, tls["secretName"], f"{where}.secretName")
    if spec.get("ingressClassName") is not None:
        field = "spec.ingressClassName"
        causes += names.check(names.subdomain, spec["ingressClassName"], field)
    return causes


def _host(host: str, field: str) -> list[Cause]:
    if "*" in host:
        return names.check(wildcard, host, field)
    return check_host(host, field)


def _paths(paths: list[Body], where: str) -> list[Cause]:
    causes: list[Cause] = [] if paths else [names.required(where)]
    for index, path in enumerate(paths):
        causes += _path(path, f"{where}[{index}]")
    return causes


def _path(path: Body, where: str) -> list[Cause]:
    kind, text, field = path.get("pathType"), path.get("path", ""), f"{where}.path"
    causes: list[Cause] = []
    if kind is None:
        return [names.required(f"{where}.pathType", "pathType must be specified")]
    if kind not in _PATH_TYPES:
        causes.append(names.unsupported(f"{where}.pathType", kind, _PATH_TYPES))
    elif (text or kind != "ImplementationSpecific") and not text.startswith("/"):
        causes.append(names.invalid(field, text, "must be an absolute path"))
    if kind in ("Exact", "Prefix"):
        causes += [
            names.invalid(field, text, f"must not contain '{sequence}'")
            for sequence in _SEQUENCES
            if sequence in text
        ]
        causes += [
            names.invalid(field, text, f"cannot end with '{suffix}'")
            for suffix in _SUFFIXES
            if text.endswith(suffix)
        ]
    return causes + _backend(path.get("backend") or {}, f"{where}.backend")


def _backend(backend: Body, where: str) -> list[Cause]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        detail = "cannot set both resource and service backends"
        return [names.invalid(where, "", detail)]
    if service is not None:
        return _service(service, where)
    if resource is None:
        return [names.invalid(where, "", "resource or service backend is required")]
    causes: list[Cause] = []
    if resource.get("apiGroup") is not None:
        causes += names.check(names.subdomain, resource["apiGroup"], f"{where}.resource.apiGroup")
    for member in ("kind", "name"):
        value, field = resource.get(member, ""), f"{where}.resource.{member}"
        if value:
            causes += names.check(names.path_segment, value, field)
        else:
            causes.append(names.required(field))
    return causes


def _service(service: Body, where: str) -> list[Cause]:
    name, port = service.get("name", ""), service.get("port") or {}
    field = f"{where}.service.name"
    causes = names.check(names.label, name, field) if name else [names.required(field)]
    if port.get("name") and port.get("number"):
        causes.append(names.invalid(where, "", "cannot set both port name & port number"))
    elif port.get("name"):
        causes += names.check(names.port_name, port["name"], f"{where}.service.port.name")
    elif port.get("number"):
        causes += names.check_port(port["number"], f"{where}.service.port.number")
    else:
        causes.append(names.required(where, "port name or number is required"))
    return causes


def _check_create(body: Body) -> list[Cause]:
    marked = ((body.get("metadata") or {}).get("annotations") or {}).get(_CLASS)
    named = (body.get("spec") or {}).get("ingressClassName")
    if marked is None or named is None or marked == named:
        return []
    detail = "must match `ingressClassName` when both are specified"
    return [names.invalid(f"annotations.{_CLASS}", marked, detail)]


def _check_status(new: Body, _old: Body) -> list[Cause]:
    causes: list[Cause] = []
    ingress = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    for index, item in enumerate(ingress):
        where = f"status.loadBalancer.ingress[{index}]"
        if item.get("ip"):
            causes += names.check(names.address, item["ip"], f"{where}.ip")
        if item.get("hostname"):
            causes += check_host(item["hostname"], f"{where}.hostname")
    return causes


INGRESS = Strategy(check=_check, check_create=_check_create, check_status=_check_status)
