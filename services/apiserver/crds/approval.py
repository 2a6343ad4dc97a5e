"""Groups of the Kubernetes community, whose definitions must say who approved them. Pure."""

from collections.abc import Mapping
from urllib.parse import urlsplit

ANNOTATION = "api-approved.kubernetes.io"


def is_protected(group: str) -> bool:
    """Whether ``group`` is ``k8s.io``, ``kubernetes.io`` or below one of them."""
    return group in ("k8s.io", "kubernetes.io") or group.endswith((".k8s.io", ".kubernetes.io"))


def state(annotations: Mapping[str, str]) -> tuple[str, str]:
    """missing, bypassed, approved or invalid; and why."""
    value = annotations.get(ANNOTATION, "")
    if not value:
        return "missing", (
            f'protected groups must have approval annotation "{ANNOTATION}", see '
            "https://github.com/kubernetes/enhancements/pull/1111"
        )
    if value.startswith("unapproved"):
        return "bypassed", f'not approved: "{value}"'
    parts = urlsplit(value)
    if parts.scheme and parts.netloc:
        return "approved", f"approved in {value}"
    return "invalid", (
        f'protected groups must have approval annotation "{ANNOTATION}" with either a URL or a '
        f'reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111'
    )


_CONDITIONS = {
    "missing": ("False", "MissingAnnotation"),
    "invalid": ("False", "InvalidAnnotation"),
    "approved": ("True", "ApprovedAnnotation"),
    "bypassed": ("False", "UnapprovedAnnotation"),
}


def condition(group: str, annotations: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Status, reason and message of the condition; None where the group needs no approval."""
    if not is_protected(group):
        return None
    found, why = state(annotations)
    return (*_CONDITIONS[found], why)
