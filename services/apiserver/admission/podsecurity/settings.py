"""Checks of settings that stand on the pod and on its containers alike."""

from collections.abc import Callable

from pilothouse.services.apiserver.admission.podsecurity.pod import (
    Document,
    PodView,
    plural,
    quoted,
)

USER_NAMESPACES = 35
"""The minor version since which pods with users of their own may be root inside."""

WINDOWS = 25
_ENGINE = 31
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_APP_ARMOR_FINE = ("", "runtime/default")
_PROFILES_FINE = ("Localhost", "RuntimeDefault")
_SE_TYPES = ("", "container_t", "container_init_t", "container_kvm_t")
_FINE = ("", "")


def setters(pod: PodView, bad: Callable[[Document], bool]) -> str:
    """``pod and container "a"``: who sets something bad; empty when nobody does."""
    found = ["pod"] if bad(pod.context) else []
    named = [name for name, context in pod.contexts() if bad(context)]
    if named:
        found.append(f"{plural('container', named)} {quoted(named)}")
    return " and ".join(found)


def _foreign(pod: PodView, field: str) -> tuple[str, set[str]]:
    """Who sets a profile that is neither the runtime's nor a local one, and its types."""
    values: set[str] = set()

    def bad(context: Document) -> bool:
        profile = context.get(field)
        if profile is None or profile.get("type") in _PROFILES_FINE:
            return False
        values.add(profile.get("type", ""))
        return True

    return setters(pod, bad), values


def app_armor(pod: PodView, _minor: int) -> tuple[str, str]:
    """A profile is the runtime's or a local one."""
    found, values = _foreign(pod, "appArmorProfile")
    shown = sorted(values)
    annotations = sorted(
        f'{key}="{value}"'
        for key, value in pod.annotations.items()
        if key.startswith(_APP_ARMOR)
        and value not in _APP_ARMOR_FINE
        and not value.startswith("localhost/")
    )
    if annotations:
        shown += annotations
        found = " and ".join(filter(None, (found, plural("annotation", annotations))))
    if not found:
        return _FINE
    more = f"must not set AppArmor profile type to {quoted(shown)}"
    return plural("forbidden AppArmor profile", shown), f"{found} {more}"


def se_linux(pod: PodView, minor: int) -> tuple[str, str]:
    """Only types of containers; no user and no role."""
    types = (*_SE_TYPES, "container_engine_t") if minor >= _ENGINE else _SE_TYPES
    wrong: set[str] = set()
    also: set[str] = set()

    def bad(context: Document) -> bool:
        options = context.get("seLinuxOptions")
        if options is None:
            return False
        fields = [field for field in ("user", "role") if options.get(field)]
        also.update(fields)
        forbidden = options.get("type", "") not in types
        if forbidden:
            wrong.add(options["type"])
        return forbidden or bool(fields)

    found = setters(pod, bad)
    if not found:
        return _FINE
    told = [f"{plural('type', wrong)} {quoted(sorted(wrong))}"] if wrong else []
    told += [f"{field} may not be set" for field in ("user", "role") if field in also]
    more = f"set forbidden securityContext.seLinuxOptions: {'; '.join(told)}"
    return "seLinuxOptions", f"{found} {more}"


def _seccomp(pod: PodView) -> tuple[str, str]:
    found, values = _foreign(pod, "seccompProfile")
    if not found:
        return _FINE
    more = f"must not set securityContext.seccompProfile.type to {quoted(sorted(values))}"
    return "seccompProfile", f"{found} {more}"


def seccomp_baseline(pod: PodView, _minor: int) -> tuple[str, str]:
    """Nobody is unconfined."""
    return _seccomp(pod)


def seccomp_restricted(pod: PodView, minor: int) -> tuple[str, str]:
    """Everybody is confined, by the pod or by itself."""
    if pod.windows and minor >= WINDOWS:
        return _FINE
    told = _seccomp(pod)
    if told[0] or pod.context.get("seccompProfile") is not None:
        return told
    free = [name for name, context in pod.contexts() if context.get("seccompProfile") is None]
    if not free:
        return _FINE
    more = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return "seccompProfile", f"pod or {plural('container', free)} {quoted(free)} {more}"


def host_process(pod: PodView, _minor: int) -> tuple[str, str]:
    """No processes of the host on Windows."""
    found = setters(pod, lambda context: bool((context.get("windowsOptions") or {})
                                              .get("hostProcess")))  # fmt: skip
    if not found:
        return _FINE
    return "hostProcess", f"{found} must not set securityContext.windowsOptions.hostProcess=true"
