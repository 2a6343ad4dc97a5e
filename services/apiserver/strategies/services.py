"""Services: defaults and rules; addresses and node ports are allocated elsewhere."""

import ipaddress
from collections.abc import Iterable
from typing import Any

from pilothouse.services.apiserver.strategies.strategy import Body, Strategy
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

AFFINITY_SECONDS = 10_800
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_OUTSIDE = ("LoadBalancer", "NodePort")
_AFFINITIES = ("ClientIP", "None")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_POLICIES = ("Cluster", "Local")


def default(body: Body) -> None:
    """What Kubernetes fills in, but for what is allocated."""
    spec = body.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    if spec["sessionAffinity"] == "ClientIP":
        affinity = spec.get("sessionAffinityConfig") or {}
        affinity.setdefault("clientIP", {}).setdefault("timeoutSeconds", AFFINITY_SECONDS)
        spec["sessionAffinityConfig"] = affinity
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port")
    if spec["type"] in _OUTSIDE:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if spec["type"] == "ExternalName":
        return
    spec.setdefault("internalTrafficPolicy", "Cluster")
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    spec.setdefault("ipFamilies", ["IPv4"])


def check(body: Body) -> list[Cause]:
    """The rules of type, ports, selector and addresses."""
    spec = body.get("spec") or {}
    causes = names.check_labels(spec.get("selector") or {}, "spec.selector")
    causes += _choices(spec)
    headless = spec.get("clusterIP") == "None"
    if spec.get("type") == "ExternalName":
        causes += _external_name(spec)
    elif not spec.get("ports") and not headless:
        causes.append(names.required("spec.ports"))
    if headless and spec.get("type") in _OUTSIDE:
        detail = f"may not be set to 'None' for {spec['type']} services"
        causes.append(names.invalid("spec.clusterIPs[0]", "None", detail))
    causes += _ports(spec.get("ports") or (), spec)
    causes += _addresses(spec)
    return causes


def _choices(spec: Body) -> list[Cause]:
    choices = (
        ("type", _TYPES),
        ("sessionAffinity", _AFFINITIES),
        ("externalTrafficPolicy", _POLICIES),
        ("internalTrafficPolicy", _POLICIES),
    )
    return [
        names.unsupported(f"spec.{field}", spec[field], allowed)
        for field, allowed in choices
        if spec.get(field) and spec[field] not in allowed
    ]


def _external_name(spec: Body) -> list[Cause]:
    causes = []
    if spec.get("clusterIP"):
        detail = "may not be set for ExternalName services"
        causes.append(names.forbidden("spec.clusterIPs[0]", detail))
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        causes.append(names.required("spec.externalName"))
    elif wrong := names.subdomain(name):
        causes.append(names.invalid("spec.externalName", name, wrong))
    return causes


def _ports(ports: Iterable[Body], spec: Body) -> list[Cause]:
    causes: list[Cause] = []
    seen_names: set[str] = set()
    seen: set[tuple[Any, Any]] = set()
    several = len(list(spec.get("ports") or ())) > 1
    for index, port in enumerate(ports):
        where = f"spec.ports[{index}]"
        name = port.get("name") or ""
        if not name and several:
            causes.append(names.required(f"{where}.name"))
        elif name:
            if wrong := names.label(name):
                causes.append(names.invalid(f"{where}.name", name, wrong))
            elif name in seen_names:
                causes.append(names.duplicate(f"{where}.name", name))
            seen_names.add(name)
        causes += _port(port, spec, where)
        place = (port.get("protocol"), port.get("port"))
        if place in seen:
            causes.append(names.duplicate(where, f"{place[0]}/{place[1]}"))
        seen.add(place)
    return causes


def _port(port: Body, spec: Body, where: str) -> list[Cause]:
    causes = names.check_port(port.get("port", 0), f"{where}.port")
    if port.get("protocol") not in _PROTOCOLS:
        protocol = port.get("protocol")
        causes.append(names.unsupported(f"{where}.protocol", protocol, _PROTOCOLS))
    target = port.get("targetPort")
    if isinstance(target, int):
        causes += names.check_port(target, f"{where}.targetPort")
    elif isinstance(target, str) and (wrong := names.port_name(target)):
        causes.append(names.invalid(f"{where}.targetPort", target, wrong))
    if port.get("nodePort") and spec.get("type") == "ClusterIP":
        detail = "may not be used when `type` is 'ClusterIP'"
        causes.append(names.forbidden(f"{where}.nodePort", detail))
    return causes


def _addresses(spec: Body) -> list[Cause]:
    causes = []
    for index, address in enumerate(spec.get("externalIPs") or ()):
        if not _is_address(address):
            field = f"spec.externalIPs[{index}]"
            causes.append(names.invalid(field, address, "must be a valid IP address"))
    cluster_ip = spec.get("clusterIP") or ""
    if cluster_ip not in {"", "None"} and not _is_address(cluster_ip):
        causes.append(
            names.invalid(
                "spec.clusterIPs[0]", cluster_ip, "must be empty, 'None', or a valid IP address"
            )
        )
    return causes


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def check_update(new: Body, old: Body) -> list[Cause]:
    """An address once given stays, as long as the Service has one."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    had, has = before.get("clusterIP"), after.get("clusterIP")
    if "ExternalName" in {after.get("type"), before.get("type")} or not had or had == has:
        return []
    detail = "may not change once set" if has else "primary clusterIP can not be unset"
    return [names.invalid("spec.clusterIPs[0]", has or "", detail)]


STRATEGY = Strategy(default, check, check_update, names.label_1035)
