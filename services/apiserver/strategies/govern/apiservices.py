"""APIServices: which server answers for a group and version."""

from pilothouse.services.apiserver.strategies.strategy import Body, Strategy
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

GROUP_PRIORITY_MAX = 20_000
VERSION_PRIORITY_MAX = 1000
PORT = 443


def _default(body: Body) -> None:
    if (service := body.setdefault("spec", {}).get("service")) is not None:
        service.setdefault("port", PORT)


def _check(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    group, version = spec.get("group", ""), spec.get("version", "")
    causes: list[Cause] = []
    name, wanted = (body.get("metadata") or {}).get("name", ""), f"{version}.{group}"
    if name != wanted:
        detail = f'must be `spec.version+"."+spec.group`: "{wanted}"'
        causes.append(names.invalid("metadata.name", name, detail))
    if group:
        causes += names.check(names.subdomain, group, "spec.group")
    elif version != "v1":
        detail = "only v1 may have an empty group and it better be legacy kube"
        causes.append(names.required("spec.group", detail))
    causes += names.check(names.label_1035, version, "spec.version")
    for field, most in (
        ("groupPriorityMinimum", GROUP_PRIORITY_MAX), ("versionPriority", VERSION_PRIORITY_MAX),
    ):  # fmt: skip
        if not 0 < (value := spec.get(field, 0)) <= most:
            detail = f"must be positive and less than {most}"
            causes.append(names.invalid(f"spec.{field}", value, detail))
    service = spec.get("service")
    return causes + (_check_local(spec) if service is None else _check_service(service, spec))


def _check_local(spec: Body) -> list[Cause]:
    return [
        names.invalid(f"spec.{field}", spec[field], f"local APIServices may not have {field}")
        for field in ("caBundle", "insecureSkipTLSVerify")
        if spec.get(field)
    ]


def _check_service(service: Body, spec: Body) -> list[Cause]:
    causes = [
        names.required(f"spec.service.{field}")
        for field in ("namespace", "name")
        if not service.get(field)
    ]
    port = service.get("port", PORT)
    if not 1 <= port <= names.PORT_MAX:
        detail = f"port is not valid: must be between 1 and {names.PORT_MAX}, inclusive"
        causes.append(names.invalid("spec.service.port", port, detail))
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        field = "spec.insecureSkipTLSVerify"
        causes.append(names.invalid(field, True, "may not be true if caBundle is present"))
    return causes


API_SERVICE = Strategy(_default, _check, name=names.path_segment)
