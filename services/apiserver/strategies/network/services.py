"""Services: defaults and rules; addresses and node ports are allocated elsewhere."""

from typing import Any

from pilothouse.services.apiserver.strategies.network.addresses import (
    check_families,
    check_public_address,
)
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

AFFINITY_SECONDS = 10_800
AFFINITY_SECONDS_MAX = 86_400
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_OUTSIDE = ("LoadBalancer", "NodePort")
_AFFINITIES = ("ClientIP", "None")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_POLICIES = ("Cluster", "Local")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_HINTS = "service.kubernetes.io/topology-aware-hints"
_MODE = "service.kubernetes.io/topology-mode"
_KUBELET = 10250
_BARE_PORT = {
    "Name": "", "Protocol": "", "AppProtocol": None, "Port": 0, "TargetPort": 0, "NodePort": 0,
}  # fmt: skip
_ONLY_BALANCED = "may only be used when `type` is 'LoadBalancer'"


def headless(spec: Body) -> bool:
    """Whether it has no address of its own."""
    return spec.get("clusterIP") == "None" or spec.get("clusterIPs") == ["None"]


def reachable(spec: Body) -> bool:
    """Whether it can be reached from outside the cluster."""
    return spec.get("type") in _OUTSIDE or bool(
        spec.get("type") == "ClusterIP" and spec.get("externalIPs")
    )


def default(body: Body) -> None:
    """What Kubernetes fills in, but for what is allocated."""
    spec = body.setdefault("spec", {})
    if not spec.get("type"):
        spec["type"] = "ClusterIP"
    _default_affinity(spec)
    _default_ports(spec)
    if reachable(spec) and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
        _default_families(spec)
    if spec["type"] == "LoadBalancer":
        _default_ingress((body.get("status") or {}).get("loadBalancer") or {})


def _default_ports(spec: Body) -> None:
    for port in spec.get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port")


def _default_ingress(balancer: Body) -> None:
    for item in balancer.get("ingress") or ():
        if item.get("ip"):
            item.setdefault("ipMode", "VIP")


def _default_affinity(spec: Body) -> None:
    if not spec.get("sessionAffinity"):
        spec["sessionAffinity"] = "None"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        affinity = spec.get("sessionAffinityConfig") or {}
        affinity.setdefault("clientIP", {}).setdefault("timeoutSeconds", AFFINITY_SECONDS)
        spec["sessionAffinityConfig"] = affinity


def _default_families(spec: Body) -> None:
    """IPv4; whoever writes the endpoints of a headless Service himself may have both."""
    if headless(spec) and not spec.get("selector"):
        policy = spec.setdefault("ipFamilyPolicy", "RequireDualStack")
        both = ["IPv4"] if policy == "SingleStack" else ["IPv4", "IPv6"]
        spec.setdefault("ipFamilies", both)
        return
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    spec.setdefault("ipFamilies", ["IPv4"])


def check(body: Body) -> list[Cause]:
    """The rules of type, ports, selector, addresses and traffic."""
    spec = body.get("spec") or {}
    kind = spec.get("type", "")
    causes = _modes((body.get("metadata") or {}).get("annotations") or {})
    if not spec.get("ports") and not headless(spec) and kind != "ExternalName":
        causes.append(names.required("spec.ports"))
    if kind == "LoadBalancer":
        detail = f"may not expose port {_KUBELET} externally since it is used by kubelet"
        causes += [
            names.invalid(f"spec.ports[{index}]", _KUBELET, detail)
            for index, port in enumerate(spec.get("ports") or ())
            if port.get("port") == _KUBELET
        ]
    if headless(spec) and kind in _OUTSIDE:
        detail = f"may not be set to 'None' for {kind} services"
        causes.append(names.invalid("spec.clusterIPs[0]", "None", detail))
    if kind == "ExternalName":
        causes += _external_name(spec)
    causes += _ports(spec)
    causes += names.check_labels(spec.get("selector") or {}, "spec.selector")
    causes += _affinity(spec)
    if kind != "ExternalName":
        causes += check_families(spec)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        causes += check_public_address(address, f"spec.externalIPs[{index}]")
    if kind not in _TYPES:
        causes.append(names.unsupported("spec.type", kind, _TYPES))
    causes += _balancer(spec)
    return causes + _traffic(spec)


def _modes(annotations: Body) -> list[Cause]:
    """The old annotation and the new one say the same."""
    new, old = annotations.get(_MODE), annotations.get(_HINTS)
    if new is None or old is None or new == old:
        return []
    detail = f"must match annotations[{_HINTS}] when both are specified"
    return [names.invalid(f"metadata.annotations[{_MODE}]", new, detail)]


def _external_name(spec: Body) -> list[Cause]:
    detail = "may not be set for ExternalName services"
    causes = [
        names.forbidden(f"spec.{shown}", detail)
        for field, shown in (
            ("clusterIP", "clusterIPs"), ("ipFamilies", "ipFamilies"),
            ("ipFamilyPolicy", "ipFamilyPolicy"),
        )
        if spec.get(field)
    ]  # fmt: skip
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        causes.append(names.required("spec.externalName"))
    else:
        causes += names.check(names.subdomain, name, "spec.externalName")
    return causes


def _ports(spec: Body) -> list[Cause]:
    causes: list[Cause] = []
    ports = spec.get("ports") or []
    seen: dict[str, set[Any]] = {"name": set(), "node": set(), "port": set()}
    doubles: list[Cause] = []
    for index, port in enumerate(ports):
        where, name = f"spec.ports[{index}]", port.get("name") or ""
        if not name and len(ports) > 1:
            causes.append(names.required(f"{where}.name"))
        elif name:
            causes += names.check(names.label, name, f"{where}.name")
            if name in seen["name"]:
                causes.append(names.duplicate(f"{where}.name", name))
            seen["name"].add(name)
        causes += _port(port, spec, where)
        protocol, number, node = port.get("protocol"), port.get("port"), port.get("nodePort")
        if node and (protocol, node) in seen["node"]:
            doubles.append(names.duplicate(f"{where}.nodePort", node))
        seen["node"].add((protocol, node))
        if (protocol, number) in seen["port"]:
            shown = {**_BARE_PORT, "Protocol": protocol, "Port": number}
            doubles.append(names.duplicate(where, shown))
        seen["port"].add((protocol, number))
    return causes + doubles


def _port(port: Body, spec: Body, where: str) -> list[Cause]:
    causes = names.check_port(port.get("port", 0), f"{where}.port")
    protocol = port.get("protocol", "")
    if protocol not in _PROTOCOLS:
        causes.append(names.unsupported(f"{where}.protocol", protocol, _PROTOCOLS))
    causes += names.check_port_or_name(port.get("targetPort", 0), f"{where}.targetPort")
    if port.get("appProtocol") is not None:
        causes += names.check(names.qualified, port["appProtocol"], f"{where}.appProtocol")
    if port.get("nodePort") and spec.get("type") == "ClusterIP":
        detail = "may not be used when `type` is 'ClusterIP'"
        causes.append(names.forbidden(f"{where}.nodePort", detail))
    return causes


def _affinity(spec: Body) -> list[Cause]:
    kind = spec.get("sessionAffinity", "None")
    if kind not in _AFFINITIES:
        return [names.unsupported("spec.sessionAffinity", kind, _AFFINITIES)]
    if kind == "None":
        return []
    config = spec.get("sessionAffinityConfig") or {}
    seconds = (config.get("clientIP") or {}).get("timeoutSeconds", AFFINITY_SECONDS)
    if 0 < seconds <= AFFINITY_SECONDS_MAX:
        return []
    field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
    detail = f"must be greater than 0 and less than {AFFINITY_SECONDS_MAX}"
    return [names.invalid(field, seconds, detail)]


def _balancer(spec: Body) -> list[Cause]:
    balanced = spec.get("type") == "LoadBalancer"
    causes: list[Cause] = []
    ranges = spec.get("loadBalancerSourceRanges") or ()
    if ranges and not balanced:
        causes.append(names.forbidden("spec.LoadBalancerSourceRanges", _ONLY_BALANCED))
    for index, value in enumerate(ranges):
        field = f"spec.LoadBalancerSourceRanges[{index}]"
        causes += names.check(names.network, value.strip(), field)
    if not balanced:
        causes += [
            names.forbidden(f"spec.{field}", _ONLY_BALANCED)
            for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass")
            if spec.get(field) is not None
        ]
    elif spec.get("loadBalancerClass") is not None:
        field = "spec.loadBalancerClass"
        causes += names.check(names.qualified, spec["loadBalancerClass"], field)
    return causes


def _traffic(spec: Body) -> list[Cause]:
    causes: list[Cause] = []
    outer, inner = spec.get("externalTrafficPolicy"), spec.get("internalTrafficPolicy")
    field = "spec.externalTrafficPolicy"
    if outer and not reachable(spec):
        detail = "may only be set for externally-accessible services"
        causes.append(names.invalid(field, outer, detail))
    elif outer and outer not in _POLICIES:
        causes.append(names.unsupported(field, outer, _POLICIES))
    if inner is not None and inner not in _POLICIES:
        causes.append(names.unsupported("spec.internalTrafficPolicy", inner, _POLICIES))
    health = spec.get("healthCheckNodePort") or 0
    if health and not _health_checked(spec):
        detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is "
        causes.append(names.invalid("spec.healthCheckNodePort", health, detail + "'Local'"))
    elif health:
        causes += names.check_port(health, "spec.healthCheckNodePort")
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        field = "spec.trafficDistribution"
        causes.append(names.unsupported(field, distribution, _DISTRIBUTIONS))
    return causes


def keep(new: Body, old: Body) -> None:
    """What belonged to the old type goes with it, unless it was changed."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after.get("type", "ClusterIP") == "ExternalName" != before.get("type"):
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            _drop(after, before, field)
    if after.get("type") != "LoadBalancer":
        if before.get("type") == "LoadBalancer":
            for field in (
                "allocateLoadBalancerNodePorts", "loadBalancerClass", "healthCheckNodePort",
                "loadBalancerSourceRanges",
            ):  # fmt: skip
                _drop(after, before, field)
        new["status"] = {**(new.get("status") or {}), "loadBalancer": {}}
    if not _health_checked(after) and _health_checked(before):
        _drop(after, before, "healthCheckNodePort")
    if reachable(before) and not reachable({"type": "ClusterIP", **after}):
        _drop(after, before, "externalTrafficPolicy")


def _health_checked(spec: Body) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _drop(after: Body, before: Body, field: str) -> None:
    if field in after and after[field] == before.get(field):
        del after[field]


def check_update(new: Body, old: Body) -> list[Cause]:
    """An address once given stays, as long as the Service has one."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if "ExternalName" in {after.get("type"), before.get("type")}:
        return []
    causes = _address_update(after, before)
    if after.get("type") == before.get("type") == "LoadBalancer":
        name, was = after.get("loadBalancerClass"), before.get("loadBalancerClass")
        if name != was:
            detail = "may not change once set"
            causes.append(names.invalid("spec.loadBalancerClass", name, detail))
        health, had = (spec.get("healthCheckNodePort") for spec in (after, before))
        local = after.get("externalTrafficPolicy") == before.get("externalTrafficPolicy") == "Local"
        if local and had and health and health != had:
            causes.append(names.forbidden("spec.healthCheckNodePort", "field is immutable"))
    return causes


def _address_update(after: Body, before: Body) -> list[Cause]:
    had, has = before.get("clusterIP"), after.get("clusterIP")
    causes: list[Cause] = []
    if had and had != has:
        shown = after.get("clusterIPs") or ([has] if has else None)
        detail = "may not change once set" if has else "primary clusterIP can not be unset"
        causes.append(names.invalid("spec.clusterIPs[0]", shown, detail))
    if headless(after) or headless(before):
        return causes
    families, were = after.get("ipFamilies") or [], before.get("ipFamilies") or []
    if families and were and families[0] != were[0]:
        causes.append(names.invalid("spec.ipFamilies[0]", families, "may not change once set"))
    return causes


def check_status(new: Body, _old: Body) -> list[Cause]:
    """The addresses that a balancer gave; a Service of another type has none."""
    ingress = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    path = "status.loadBalancer.ingress"
    causes: list[Cause] = []
    if ingress and (new.get("spec") or {}).get("type") != "LoadBalancer":
        detail = "may only be used when `spec.type` is 'LoadBalancer'"
        return [names.forbidden(path, detail)]
    for index, item in enumerate(ingress):
        where = f"{path}[{index}]"
        mode = item.get("ipMode")
        if item.get("ip"):
            causes += names.check(names.address, item["ip"], f"{where}.ip")
            item.setdefault("ipMode", "VIP")
        elif mode is not None:
            detail = "may not be specified when `ip` is not set"
            causes.append(names.forbidden(f"{where}.ipMode", detail))
        if mode is not None and mode not in ("Proxy", "VIP"):
            causes.append(names.unsupported(f"{where}.ipMode", mode, ("Proxy", "VIP")))
        if item.get("hostname"):
            causes += check_host(item["hostname"], f"{where}.hostname")
    return causes


def check_host(host: str, field: str) -> list[Cause]:
    """A name of the DNS and no address."""
    causes = names.check(names.subdomain, host, field)
    if not names.address(host):
        causes.append(names.invalid(field, host, "must be a DNS name, not an IP address"))
    return causes


STRATEGY = Strategy(
    default, check, check_update, name=names.label, check_status=check_status, keep=keep
)
