"""What the baseline and the restricted standard forbid, one function each."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pilothouse.services.apiserver.admission.podsecurity import settings
from pilothouse.services.apiserver.admission.podsecurity.levels import Level
from pilothouse.services.apiserver.admission.podsecurity.pod import PodView, plural, quoted

Told = tuple[str, str]
"""The reason, and the detail in brackets behind it; empty when all is well."""

FINE: Told = ("", "")
_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
        "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    }
)  # fmt: skip
_VOLUMES = frozenset(
    {
        "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image",
        "persistentVolumeClaim", "projected", "secret",
    }
)  # fmt: skip
_SYSCTLS = (
    (0, ("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
         "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start")),
    (27, ("net.ipv4.ip_local_reserved_ports",)),
    (29, ("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",
          "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes")),
    (32, ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem")),
    (37, ("net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_notsent_lowat")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """A rule from a minor version on; ``replaced`` when the restricted standard has its own."""

    run: Callable[[PodView, int], Told]
    since: int = 0
    replaced_since: int = 0


def verdict(level: Level, pod: PodView) -> list[Told]:
    """What of ``pod`` the standard forbids; nothing when it is privileged or fine."""
    return [told for told in _results(level, pod) if told[0]]


def detail(found: Iterable[Told]) -> str:
    """All findings in one line."""
    return ", ".join(f"{reason} ({more})" if more else reason for reason, more in found)


def reasons(found: Iterable[Told]) -> str:
    """The findings without their details."""
    return ", ".join(reason for reason, _ in found)


def _results(level: Level, pod: PodView) -> Iterator[Told]:
    if level.name == "privileged":
        return
    restricted = level.name == "restricted"
    for check in BASELINE:
        replaced = restricted and check.replaced_since and level.minor >= check.replaced_since
        if level.minor >= check.since and not replaced:
            yield check.run(pod, level.minor)
    if restricted:
        for check in RESTRICTED:
            if level.minor >= check.since:
                yield check.run(pod, level.minor)


def _capabilities_baseline(pod: PodView, _minor: int) -> Told:
    bad: dict[str, None] = {}
    wrong: set[str] = set()
    for name, context in pod.contexts():
        added = set((context.get("capabilities") or {}).get("add") or ()) - _CAPABILITIES
        if added:
            bad[name] = None
            wrong |= added
    if not bad:
        return FINE
    more = f"must not include {quoted(sorted(wrong))} in securityContext.capabilities.add"
    return "non-default capabilities", f"{plural('container', bad)} {quoted(bad)} {more}"


def _host_namespaces(pod: PodView, _minor: int) -> Told:
    found = [f"{f}=true" for f in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(f)]
    return ("host namespaces", ", ".join(found)) if found else FINE


def _host_paths(pod: PodView, _minor: int) -> Told:
    found = [v["name"] for v in pod.spec.get("volumes") or () if v.get("hostPath") is not None]
    return ("hostPath volumes", f"{plural('volume', found)} {quoted(found)}") if found else FINE


def _host_ports(pod: PodView, _minor: int) -> Told:
    bad: dict[str, None] = {}
    ports: set[str] = set()
    for container in pod.containers():
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                bad[container["name"]] = None
                ports.add(str(port["hostPort"]))
    if not bad:
        return FINE
    uses = "uses" if len(bad) == 1 else "use"
    more = f"{uses} {plural('hostPort', ports)} {', '.join(sorted(ports))}"
    return "hostPort", f"{plural('container', bad)} {quoted(bad)} {more}"


def _hosts(pod: PodView, _minor: int) -> Told:
    bad: set[str] = set()
    hosts: set[str] = set()
    for container in pod.containers():
        lifecycle = container.get("lifecycle") or {}
        actions = [container.get(f) for f in ("livenessProbe", "readinessProbe", "startupProbe")]
        actions += [lifecycle.get("postStart"), lifecycle.get("preStop")]
        for action in actions:
            for field in ("httpGet", "tcpSocket"):
                if host := ((action or {}).get(field) or {}).get("host"):
                    bad.add(container["name"])
                    hosts.add(host)
    if not bad:
        return FINE
    uses = "uses" if len(bad) == 1 else "use"
    more = f"{uses} {plural('probe or lifecycle host', hosts)} {quoted(sorted(hosts))}"
    return "probe or lifecycle host", f"{plural('container', bad)} {quoted(sorted(bad))} {more}"


def _privileged(pod: PodView, _minor: int) -> Told:
    bad = [name for name, context in pod.contexts() if context.get("privileged")]
    if not bad:
        return FINE
    more = f"{plural('container', bad)} {quoted(bad)} must not set securityContext.privileged=true"
    return "privileged", more


def _proc_mount(pod: PodView, minor: int) -> Told:
    if minor >= settings.USER_NAMESPACES and pod.own_users:
        return FINE
    return _masked_proc(pod, minor)


def _masked_proc(pod: PodView, _minor: int) -> Told:
    bad: dict[str, None] = {}
    found: set[str] = set()
    for name, context in pod.contexts():
        mount = context.get("procMount")
        if mount is not None and mount != "Default":
            bad[name] = None
            found.add(mount)
    if not bad:
        return FINE
    more = f"must not set securityContext.procMount to {quoted(sorted(found))}"
    return "procMount", f"{plural('container', bad)} {quoted(bad)} {more}"


def _sysctls(pod: PodView, minor: int) -> Told:
    allowed = {name for since, group in _SYSCTLS if minor >= since for name in group}
    given = (pod.spec.get("securityContext") or {}).get("sysctls") or ()
    found = [item["name"] for item in given if item["name"] not in allowed]
    return ("forbidden sysctls", ", ".join(found)) if found else FINE


def _escalation(pod: PodView, minor: int) -> Told:
    if pod.windows and minor >= settings.WINDOWS:
        return FINE
    bad = [
        name
        for name, context in pod.contexts()
        if context.get("allowPrivilegeEscalation") is not False
    ]
    if not bad:
        return FINE
    more = "must set securityContext.allowPrivilegeEscalation=false"
    told = f"{plural('container', bad)} {quoted(bad)} {more}"
    return "allowPrivilegeEscalation != false", told


def _capabilities_restricted(pod: PodView, minor: int) -> Told:
    if pod.windows and minor >= settings.WINDOWS:
        return FINE
    keeping, adding, added = [], [], set()
    for name, context in pod.contexts():
        capabilities = context.get("capabilities") or {}
        if "ALL" not in (capabilities.get("drop") or ()):
            keeping.append(name)
        wrong = set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}
        if wrong:
            adding.append(name)
            added |= wrong
    told = []
    if keeping:
        more = 'must set securityContext.capabilities.drop=["ALL"]'
        told.append(f"{plural('container', keeping)} {quoted(keeping)} {more}")
    if adding:
        more = f"must not include {quoted(sorted(added))} in securityContext.capabilities.add"
        told.append(f"{plural('container', adding)} {quoted(adding)} {more}")
    return ("unrestricted capabilities", "; ".join(told)) if told else FINE


def _volumes(pod: PodView, _minor: int) -> Told:
    bad: list[str] = []
    types: set[str] = set()
    for volume in pod.spec.get("volumes") or ():
        given = [key for key, value in volume.items() if key != "name" and value is not None]
        wrong = [type_ for type_ in given if type_ not in _VOLUMES]
        if wrong or not given:
            bad.append(volume["name"])
            types.update(wrong[:1] or ["unknown"])
    if not bad:
        return FINE
    uses = "uses" if len(bad) == 1 else "use"
    more = f"{uses} {plural('restricted volume type', types)} {quoted(sorted(types))}"
    return "restricted volume types", f"{plural('volume', bad)} {quoted(bad)} {more}"


def _non_root(pod: PodView, minor: int) -> Told:
    if minor >= settings.USER_NAMESPACES and pod.own_users:
        return FINE
    of_pod: Any = (pod.spec.get("securityContext") or {}).get("runAsNonRoot")
    setters = ["pod"] if of_pod is False else []
    explicit = [name for name, c in pod.contexts() if c.get("runAsNonRoot") is False]
    implicit = [name for name, c in pod.contexts() if c.get("runAsNonRoot") is None]
    if explicit:
        setters.append(f"{plural('container', explicit)} {quoted(explicit)}")
    if setters:
        more = f"{' and '.join(setters)} must not set securityContext.runAsNonRoot=false"
        return "runAsNonRoot != true", more
    if implicit and not of_pod:
        more = "must set securityContext.runAsNonRoot=true"
        named = f"{plural('container', implicit)} {quoted(implicit)}"
        return "runAsNonRoot != true", f"pod or {named} {more}"
    return FINE


def _user(pod: PodView, minor: int) -> Told:
    if minor >= settings.USER_NAMESPACES and pod.own_users:
        return FINE
    setters = settings.setters(pod, lambda context: context.get("runAsUser") == 0)
    return ("runAsUser=0", f"{setters} must not set runAsUser=0") if setters else FINE


BASELINE = (
    Check(settings.app_armor),
    Check(_capabilities_baseline, replaced_since=22),
    Check(_host_namespaces),
    Check(_host_paths, replaced_since=1),
    Check(_host_ports),
    Check(_hosts, since=34),
    Check(_privileged),
    Check(_proc_mount, replaced_since=1),
    Check(settings.se_linux),
    Check(settings.seccomp_baseline, replaced_since=19),
    Check(_sysctls),
    Check(settings.host_process),
)
RESTRICTED = (
    Check(_escalation, since=8),
    Check(_capabilities_restricted, since=22),
    Check(_masked_proc),
    Check(_volumes),
    Check(_non_root),
    Check(_user, since=23),
    Check(settings.seccomp_restricted, since=19),
)
