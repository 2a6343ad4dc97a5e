"""networking.k8s.io: policies, classes of ingresses, addresses and ranges of addresses."""

import ipaddress
import re

from pilothouse.services.apiserver.strategies.network.ingresses import INGRESS
from pilothouse.services.apiserver.strategies.selectors import check_selector
from pilothouse.services.apiserver.strategies.strategy import Body, Strategy, immutable
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

CONTROLLER_BYTES_MAX = 250
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_TYPES = ("Ingress", "Egress")
_SCOPES = ("Cluster", "Namespace")
_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")


def _default_policy(body: Body) -> None:
    spec = body.setdefault("spec", {})
    for member in ("ingress", "egress"):
        for rule in spec.get(member) or ():
            for port in rule.get("ports") or ():
                if not port.get("protocol"):
                    port["protocol"] = "TCP"
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _check_policy(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    causes = check_selector(spec.get("podSelector") or {}, "spec.podSelector")
    for member, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(member) or ()):
            where = f"spec.{member}[{index}]"
            for number, port in enumerate(rule.get("ports") or ()):
                causes += _port(port, f"{where}.ports[{number}]")
            for number, peer in enumerate(rule.get(peers) or ()):
                causes += _peer(peer, f"{where}.{peers}[{number}]")
    types = spec.get("policyTypes") or []
    if len(types) > len(_TYPES):
        detail = "may not specify more than two policyTypes"
        return [*causes, names.invalid("spec.policyTypes", types, detail)]
    causes += [
        names.unsupported(f"spec.policyTypes[{index}]", type_, _TYPES)
        for index, type_ in enumerate(types)
        if type_ not in _TYPES
    ]
    return causes


def _port(port: Body, where: str) -> list[Cause]:
    causes: list[Cause] = []
    protocol, number, end = port.get("protocol"), port.get("port"), port.get("endPort")
    if protocol is not None and protocol not in _PROTOCOLS:
        causes.append(names.unsupported(f"{where}.protocol", protocol, _PROTOCOLS))
    if number is not None:
        causes += names.check_port_or_name(number, f"{where}.port")
    if end is None:
        return causes
    field = f"{where}.endPort"
    if number is None:
        detail = "may not be specified when `port` is not specified"
        causes.append(names.invalid(field, end, detail))
    elif isinstance(number, str):
        detail = "may not be specified when `port` is non-numeric"
        causes.append(names.invalid(field, end, detail))
    else:
        if end < number:
            detail = "must be greater than or equal to `port`"
            causes.append(names.invalid(field, end, detail))
        causes += names.check_port(end, field)
    return causes


def _peer(peer: Body, where: str) -> list[Cause]:
    causes: list[Cause] = []
    selectors = [f for f in ("podSelector", "namespaceSelector") if peer.get(f) is not None]
    for field in selectors:
        causes += check_selector(peer[field], f"{where}.{field}")
    block = peer.get("ipBlock")
    if block is not None:
        causes += _block(block, f"{where}.ipBlock")
        if selectors:
            detail = "may not specify both ipBlock and another peer"
            causes.append(names.forbidden(where, detail))
    elif not selectors:
        causes.append(names.required(where, "must specify a peer"))
    return causes


def _block(block: Body, where: str) -> list[Cause]:
    cidr = block.get("cidr", "")
    if not cidr:
        return [names.required(f"{where}.cidr")]
    if wrong := names.network(cidr):
        return [names.invalid(f"{where}.cidr", cidr, wrong)]
    causes = []
    outer = ipaddress.ip_network(cidr, strict=False)
    for index, text in enumerate(block.get("except") or ()):
        field = f"{where}.except[{index}]"
        if wrong := names.network(text):
            causes.append(names.invalid(field, text, wrong))
            continue
        inner = ipaddress.ip_network(text, strict=False)
        within = (
            inner.version == outer.version
            and inner.network_address in outer
            and inner.prefixlen > outer.prefixlen
        )
        if not within:
            causes.append(names.invalid(field, text, "must be a strict subset of `cidr`"))
    return causes


def _default_class(body: Body) -> None:
    parameters = (body.get("spec") or {}).get("parameters")
    if parameters is not None:
        parameters.setdefault("scope", "Cluster")


def _check_class(body: Body) -> list[Cause]:
    spec = body.get("spec") or {}
    field, controller = "spec.controller", spec.get("controller", "")
    causes: list[Cause] = []
    if not controller:
        causes.append(names.required(field))
    else:
        if len(controller) > CONTROLLER_BYTES_MAX:
            causes.append(names.too_long(field, CONTROLLER_BYTES_MAX))
        causes += check_prefixed_path(controller, field)
    if spec.get("parameters") is not None:
        causes += _parameters(spec["parameters"], "spec.parameters")
    return causes


def check_prefixed_path(text: str, field: str) -> list[Cause]:
    """``acme.io/foo``."""
    domain, slash, rest = text.partition("/")
    if not slash or not domain or not rest:
        detail = 'must be a domain-prefixed path (such as "acme.io/foo")'
        return [names.invalid(field, text, detail)]
    causes = names.check(names.subdomain, domain, field)
    if not _PATH.fullmatch(rest):
        detail = f"Invalid path (regex used for validation is '{_PATH.pattern}')"
        causes.append(names.invalid(field, rest, detail))
    return causes


def _parameters(parameters: Body, path: str) -> list[Cause]:
    causes: list[Cause] = []
    if parameters.get("apiGroup") is not None:
        causes += names.check(names.subdomain, parameters["apiGroup"], f"{path}.apiGroup")
    for member in ("kind", "name"):
        value, field = parameters.get(member, ""), f"{path}.{member}"
        causes += names.check(names.path_segment, value, field) if value else [
            names.required(field)
        ]  # fmt: skip
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    field = f"{path}.namespace"
    if scope not in _SCOPES:
        causes.append(names.unsupported(f"{path}.scope", scope, _SCOPES))
    elif scope == "Namespace":
        if namespace is None:
            causes.append(names.required(field, "`parameters.scope` is set to 'Namespace'"))
        else:
            causes += names.check(names.label, namespace, field)
    elif namespace is not None:
        causes.append(names.forbidden(field, "`parameters.scope` is set to 'Cluster'"))
    return causes


def _check_class_update(new: Body, old: Body) -> list[Cause]:
    value, was = ((body.get("spec") or {}).get("controller") for body in (new, old))
    return immutable("spec.controller", value, value, was)


def address_name(name: str) -> str:
    """An IPAddress is named as the address is written."""
    try:
        written = str(ipaddress.ip_address(name))
    except ValueError:
        return "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
    return "" if written == name else f'must be in canonical form ("{written}")'


def _check_address(body: Body) -> list[Cause]:
    parent = (body.get("spec") or {}).get("parentRef")
    path = "spec.parentRef"
    if parent is None:
        return [names.required(path)]
    causes: list[Cause] = []
    if parent.get("group"):
        causes += names.check(names.subdomain, parent["group"], f"{path}.group")
    for member in ("resource", "name"):
        value, field = parent.get(member, ""), f"{path}.{member}"
        causes += names.check(names.path_segment, value, field) if value else [
            names.required(field)
        ]  # fmt: skip
    return causes


def _check_address_update(new: Body, old: Body) -> list[Cause]:
    value, was = ((body.get("spec") or {}).get("parentRef") for body in (new, old))
    return immutable("spec.parentRef", value, value, was)


def _check_range(body: Body) -> list[Cause]:
    cidrs = (body.get("spec") or {}).get("cidrs") or []
    field = "spec.cidrs"
    if not cidrs:
        return [names.required(field, "at least one CIDR required")]
    if len(cidrs) > 2:  # noqa: PLR2004 - one of each family
        return [names.invalid(field, cidrs, "may only hold up to 2 values")]
    causes: list[Cause] = []
    for index, cidr in enumerate(cidrs):
        where = f"{field}[{index}]"
        if wrong := names.network(cidr):
            causes.append(names.invalid(where, cidr, wrong))
            continue
        written = str(ipaddress.ip_network(cidr, strict=False))
        if written != cidr:
            causes.append(names.invalid(where, cidr, f'must be in canonical form ("{written}")'))
    if not causes and len(cidrs) > 1 and (":" in cidrs[0]) == (":" in cidrs[1]):
        detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and "
        causes.append(names.invalid(field, cidrs, detail + "2001:db8::/96"))
    return causes


def _check_range_update(new: Body, old: Body) -> list[Cause]:
    value, was = ((body.get("spec") or {}).get("cidrs") or [] for body in (new, old))
    if value[: len(was)] == was:
        return []
    return [names.invalid("spec.cidrs", value, "field is immutable")]


NETWORK_POLICY = Strategy(_default_policy, _check_policy)
INGRESS_CLASS = Strategy(_default_class, _check_class, _check_class_update)
IP_ADDRESS = Strategy(check=_check_address, check_update=_check_address_update, name=address_name)
SERVICE_CIDR = Strategy(check=_check_range, check_update=_check_range_update)
BY_KIND = {
    "Ingress": INGRESS,
    "IngressClass": INGRESS_CLASS,
    "NetworkPolicy": NETWORK_POLICY,
    "IPAddress": IP_ADDRESS,
    "ServiceCIDR": SERVICE_CIDR,
}
