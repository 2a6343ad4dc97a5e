"""Facts about ServiceAccounts and the objects that carry who a pod is and whom it trusts."""

from typing import Any

from pilothouse.services.machinery.labels import LabelSelector
from pilothouse.services.machinery.objects import Key, Metadata, View

DEFAULT_ACCOUNT = "default"
ROOT_CA = "kube-root-ca.crt"
ROOT_CA_KEY = "ca.crt"
DESCRIPTION = "kubernetes.io/description"
"""Annotation: what an object is for, in words."""
TOKEN_TYPE = "kubernetes.io/service-account-token"  # noqa: S105 - a Secret's type, no secret
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"
LAST_USED = "kubernetes.io/legacy-token-last-used"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
TRACKING = Key("kube-system", "kube-apiserver-legacy-service-account-token-tracking")
TRACKED_SINCE = "since"


class Named(View, frozen=True, kw_only=True):
    name: str = ""


class ServiceAccount(View, frozen=True, kw_only=True):
    """``secrets`` are its tokens, as they were made of themselves before Kubernetes 1.24."""

    metadata: Metadata = Metadata()
    secrets: tuple[Named, ...] = ()


class ConfigMap(View, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    data: dict[str, str] = {}


class Secret(View, frozen=True, kw_only=True):
    """``data`` values are base64 text."""

    metadata: Metadata = Metadata()
    type: str = "Opaque"
    data: dict[str, str] = {}


class AggregationRule(View, frozen=True, kw_only=True):
    cluster_role_selectors: tuple[LabelSelector, ...] = ()


class ClusterRole(View, frozen=True, kw_only=True):
    """``rules`` are as they are written; who aggregates them need not understand them."""

    metadata: Metadata = Metadata()
    rules: tuple[dict[str, Any], ...] | None = None
    aggregation_rule: AggregationRule | None = None
