"""resource.k8s.io: classes, claims, slices and taints of devices."""

from collections.abc import Iterable

from pilothouse.services.apiserver.strategies.pod.placement import check_node_selector
from pilothouse.services.apiserver.strategies.pod.volumes import check_driver
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy, immutable
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

REQUESTS_MAX = 32
DEVICES_MAX = 128
SELECTORS_MAX = 32
CONSUMERS_MAX = 256
_MODES = ("All", "ExactCount")
_EFFECTS = ("NoExecute", "NoSchedule", "None")
_NODES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")


def _default_request(request: Body) -> None:
    exact = request.get("exactly")
    for item in ([exact] if exact is not None else []) + (request.get("firstAvailable") or []):
        if not item.get("allocationMode"):
            item["allocationMode"] = "ExactCount"
        if item["allocationMode"] == "ExactCount" and not item.get("count"):
            item["count"] = 1
        for toleration in item.get("tolerations") or ():
            toleration.setdefault("operator", "Equal")


def _default_spec(spec: Body) -> None:
    for request in (spec.get("devices") or {}).get("requests") or ():
        _default_request(request)


def _default_claim(body: Body) -> None:
    _default_spec(body.setdefault("spec", {}))


def _default_template(body: Body) -> None:
    _default_spec((body.get("spec") or {}).get("spec") or {})


def _check_spec(spec: Body, path: str) -> list[Cause]:
    devices = spec.get("devices") or {}
    requests = devices.get("requests") or []
    where = f"{path}.devices.requests"
    if len(requests) > REQUESTS_MAX:
        return [names.too_many(where, len(requests), REQUESTS_MAX)]
    causes: list[Cause] = []
    known: set[str] = set()
    for index, request in enumerate(requests):
        name, at = request.get("name", ""), f"{where}[{index}]"
        causes += _label(name, f"{at}.name")
        if name in known:
            causes.append(names.duplicate(f"{at}.name", name))
        known.add(name)
        causes += _check_request(request, at)
        known |= {f"{name}/{sub.get('name')}" for sub in request.get("firstAvailable") or ()}
    for member in ("constraints", "config"):
        for index, item in enumerate(devices.get(member) or ()):
            causes += [
                names.invalid(
                    f"{path}.devices.{member}[{index}].requests[{number}]", name,
                    "must be the name of a request in the claim or the name of a request and a "
                    "subrequest separated by '/'",
                )
                for number, name in enumerate(item.get("requests") or ())
                if name not in known
            ]  # fmt: skip
    return causes + _check_configs(devices.get("config") or [], f"{path}.devices.config")


def _check_configs(configs: list[Body], path: str) -> list[Cause]:
    """What is told to drivers, in words of their own."""
    causes: list[Cause] = []
    for index, config in enumerate(configs):
        opaque, where = config.get("opaque"), f"{path}[{index}].opaque"
        if opaque is None:
            causes.append(names.required(where))
            continue
        causes += check_driver(opaque.get("driver", ""), f"{where}.driver")
        if not opaque.get("parameters"):
            causes.append(names.required(f"{where}.parameters"))
    return causes


def _label(name: str, field: str) -> list[Cause]:
    return names.check(names.label, name, field) if name else [names.required(field)]


def _check_request(request: Body, where: str) -> list[Cause]:
    exact, first = request.get("exactly"), request.get("firstAvailable") or []
    if exact is not None and first:
        detail = "exactly one of `exactly` or `firstAvailable` is required, but multiple fields "
        return [names.invalid(where, request, detail + "are set")]
    if exact is None and not first:
        detail = "exactly one of `exactly` or `firstAvailable` is required"
        return [names.required(where, detail)]
    if exact is not None:
        return _check_exact(exact, f"{where}.exactly")
    causes: list[Cause] = []
    for index, item in enumerate(first):
        at = f"{where}.firstAvailable[{index}]"
        causes += _label(item.get("name", ""), f"{at}.name")
        causes += _check_exact(item, at)
    return causes


def _check_exact(exact: Body, where: str) -> list[Cause]:
    name, field = exact.get("deviceClassName", ""), f"{where}.deviceClassName"
    causes = names.check(names.subdomain, name, field) if name else [names.required(field)]
    causes += _selectors(exact.get("selectors") or [], f"{where}.selectors")
    mode, count = exact.get("allocationMode"), exact.get("count", 0)
    if mode not in _MODES:
        causes.append(names.unsupported(f"{where}.allocationMode", mode, _MODES))
    elif mode == "All" and count:
        detail = "must not be specified when allocationMode is 'All'"
        causes.append(names.invalid(f"{where}.count", count, detail))
    elif mode == "ExactCount" and count <= 0:
        causes.append(names.invalid(f"{where}.count", count, "must be greater than zero"))
    return causes


def _selectors(selectors: list[Body], path: str) -> list[Cause]:
    if len(selectors) > SELECTORS_MAX:
        return [names.too_many(path, len(selectors), SELECTORS_MAX)]
    return [
        names.required(f"{path}[{index}].cel.expression")
        for index, selector in enumerate(selectors)
        if not (selector.get("cel") or {}).get("expression")
    ]


def _check_claim(body: Body) -> list[Cause]:
    return _check_spec(body.get("spec") or {}, "spec")


def _spec_update(new: Body, old: Body) -> list[Cause]:
    after = new.get("spec")
    return immutable("spec", after, after, old.get("spec"))


def _check_claim_status(new: Body, old: Body) -> list[Cause]:
    after, before = new.get("status") or {}, old.get("status") or {}
    reserved = after.get("reservedFor") or []
    causes: list[Cause] = []
    if len(reserved) > CONSUMERS_MAX:
        causes.append(names.too_many("status.reservedFor", len(reserved), CONSUMERS_MAX))
    uids = [item.get("uid") for item in reserved]
    for index, item in enumerate(reserved):
        where = f"status.reservedFor[{index}]"
        causes += [
            names.required(f"{where}.{field}")
            for field in ("resource", "name", "uid")
            if not item.get(field)
        ]
        if item.get("uid") in uids[:index]:
            causes.append(names.duplicate(f"{where}.uid", item.get("uid")))
    allocation = after.get("allocation")
    if reserved and allocation is None:
        detail = "may not be specified when `allocated` is not set"
        causes.append(names.forbidden("status.reservedFor", detail))
    was = before.get("allocation")
    if was is not None and allocation is not None:
        causes += immutable("status.allocation", allocation, allocation, was)
    return causes


def _check_template(body: Body) -> list[Cause]:
    return _check_spec((body.get("spec") or {}).get("spec") or {}, "spec.spec")


def _check_class(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = _selectors(spec.get("selectors") or [], "spec.selectors")
    return causes + _check_configs(spec.get("config") or [], "spec.config")


def _check_slice(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = check_driver(spec.get("driver", ""), "spec.driver")
    pool = spec.get("pool") or {}
    name = pool.get("name", "")
    if not name:
        causes.append(names.required("spec.pool.name"))
    for part in name.split("/") if name else ():
        causes += names.check(names.subdomain, part, "spec.pool.name")
    if pool.get("resourceSliceCount", 0) <= 0:
        field = "spec.pool.resourceSliceCount"
        count = pool.get("resourceSliceCount", 0)
        causes.append(names.invalid(field, count, "must be greater than zero"))
    causes += names.check_least(pool.get("generation"), "spec.pool.generation")
    given = [field for field in _NODES if spec.get(field)]
    shown = "`nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection`"
    if not given:
        causes.append(names.required("spec", f"exactly one of {shown} is required"))
    elif len(given) > 1:
        detail = f"exactly one of {shown} is required, but multiple fields are set"
        causes.append(names.invalid("spec", "{" + ", ".join(given) + "}", detail))
    if spec.get("nodeSelector") is not None:
        causes += check_node_selector(spec["nodeSelector"], "spec.nodeSelector")
    return causes + _check_devices(spec.get("devices") or [])


def _check_devices(devices: list[Body]) -> list[Cause]:
    if len(devices) > DEVICES_MAX:
        return [names.too_many("spec.devices", len(devices), DEVICES_MAX)]
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, device in enumerate(devices):
        where, name = f"spec.devices[{index}]", device.get("name", "")
        causes += _label(name, f"{where}.name")
        if name in seen:
            causes.append(names.duplicate(f"{where}.name", name))
        seen.add(name)
        causes += _check_taints(device.get("taints") or (), f"{where}.taints")
    return causes


def _check_taints(taints: Iterable[Body], path: str) -> list[Cause]:
    return [
        cause
        for index, taint in enumerate(taints)
        for cause in _check_taint(taint, f"{path}[{index}]")
    ]


def _check_taint(taint: Body, where: str) -> list[Cause]:
    causes = names.check(names.qualified, taint.get("key", ""), f"{where}.key")
    causes += names.check(names.label_value, taint.get("value", ""), f"{where}.value")
    effect = taint.get("effect", "")
    if not effect:
        causes.append(names.required(f"{where}.effect"))
    elif effect not in _EFFECTS:
        causes.append(names.unsupported(f"{where}.effect", effect, _EFFECTS))
    return causes


def _check_slice_update(new: Body, old: Body) -> list[Cause]:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    causes: list[Cause] = []
    for field in ("driver", "nodeName"):
        causes += immutable(f"spec.{field}", after.get(field), after.get(field), before.get(field))
    name, was = ((spec.get("pool") or {}).get("name") for spec in (after, before))
    return causes + immutable("spec.pool.name", name, name, was)


def _check_rule(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = _check_taint(spec.get("taint") or {}, "spec.taint")
    selector = spec.get("deviceSelector")
    if selector is not None and selector.get("driver"):
        causes += check_driver(selector["driver"], "spec.deviceSelector.driver")
    return causes


BY_KIND = {
    "DeviceClass": Strategy(check=_check_class),
    "DeviceTaintRule": Strategy(check=_check_rule),
    "ResourceClaim": Strategy(
        _default_claim, _check_claim, _spec_update, check_status=_check_claim_status
    ),
    "ResourceClaimTemplate": Strategy(_default_template, _check_template, _spec_update),
    "ResourceSlice": Strategy(check=_check_slice, check_update=_check_slice_update),
}
