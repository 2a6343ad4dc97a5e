"""Rules of IP addresses and families: of Services, endpoints and balancers."""

import ipaddress

from pilothouse.services.apiserver.strategies.strategy import Body
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import Cause

_FAMILIES = ("IPv4", "IPv6")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_BOTH = 2


def check_public_address(text: str, field: str) -> list[Cause]:
    """An address that means the same from everywhere."""
    if wrong := names.address(text):
        return [names.invalid(field, text, wrong)]
    return check_plain_address(text, field)


def check_plain_address(text: str, field: str) -> list[Cause]:
    """Neither unspecified nor loopback nor link-local."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return [names.invalid(field, text, "must be a valid IP address")]
    causes = []
    if found.is_unspecified:
        causes.append(names.invalid(field, text, f"may not be unspecified ({text})"))
    if found.is_loopback:
        detail = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
        causes.append(names.invalid(field, text, detail))
    if found.is_link_local:
        detail = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
        causes.append(names.invalid(field, text, detail))
    if found.is_multicast and text.startswith(("224.0.0.", "ff02:")):
        detail = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        causes.append(names.invalid(field, text, detail))
    return causes


def check_families(spec: Body) -> list[Cause]:
    """``clusterIPs``, ``ipFamilies`` and their policy agree, and the cluster has them: it is
    IPv4 alone.
    """
    causes = _in_step(spec)
    families, policy = spec.get("ipFamilies") or [], spec.get("ipFamilyPolicy")
    for index, family in enumerate(families):
        field = f"spec.ipFamilies[{index}]"
        if family not in _FAMILIES:
            causes.append(names.unsupported(field, family, _FAMILIES))
        if family in families[:index]:
            causes.append(names.duplicate(field, family))
    if policy is not None and policy not in _POLICIES:
        causes.append(names.unsupported("spec.ipFamilyPolicy", policy, _POLICIES))
    ips = spec.get("clusterIPs") or [ip for ip in [spec.get("clusterIP")] if ip]
    found = _addresses(ips)
    if found:
        return causes + found
    if ips != ["None"]:
        causes += _agree(ips, families)
        causes += _single(families, policy)
    elif spec.get("selector"):
        causes += _single(families, policy)
    return causes


def _in_step(spec: Body) -> list[Cause]:
    one, several = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    if one and several and several[0] != one:
        detail = "first value must match `clusterIP`"
        return [names.invalid("spec.clusterIPs", several, detail)]
    if several and not one:
        detail = "must be empty when `clusterIP` is not specified"
        return [names.invalid("spec.clusterIPs", several, detail)]
    return []


def _addresses(ips: list[str]) -> list[Cause]:
    causes: list[Cause] = []
    if len(ips) > 1 and ips[0] == "None":
        detail = "'None' must be the first and only value"
        causes.append(names.invalid("spec.clusterIPs", ips, detail))
    for index, ip in enumerate(ips):
        if ip != "None" or index:
            causes += names.check(names.address, ip, f"spec.clusterIPs[{index}]")
    if len(ips) > _BOTH:
        causes.append(names.invalid("spec.clusterIPs", ips, "may only hold up to 2 values"))
    elif not causes and len(ips) == _BOTH and (":" in ips[0]) == (":" in ips[1]):
        detail = "may specify no more than one IP for each IP family"
        causes.append(names.invalid("spec.clusterIPs", ips, detail))
    return causes


def _agree(ips: list[str], families: list[str]) -> list[Cause]:
    return [
        names.invalid(
            f"spec.clusterIPs[{index}]",
            ip,
            f"expected an {family} value as indicated by `ipFamilies[{index}]`",
        )
        for index, (ip, family) in enumerate(zip(ips, families, strict=False))
        if family in _FAMILIES and (":" in ip) != (family == "IPv6")
    ]


def _single(families: list[str], policy: str | None) -> list[Cause]:
    causes = [
        names.invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
        for index, family in enumerate(families)
        if family == "IPv6"
    ]
    if policy == "RequireDualStack":
        detail = "this cluster is not configured for dual-stack services"
        causes.append(names.invalid("spec.ipFamilyPolicy", policy, detail))
    return causes
