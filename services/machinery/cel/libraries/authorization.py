"""Questions to the authorizer: `authorizer.group('').resource('pods').check('create').allowed()`.

A binding of type `types.AUTHORIZER` is an `Authorizer`; the rest is built by the expression.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pilothouse.services.machinery.cel.declarations import declare
from pilothouse.services.machinery.cel.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable

_NAMES = ("Authorizer", "PathCheck", "GroupCheck", "ResourceCheck", "Decision")
_TEXT = """
authorizer_path: Authorizer .path(string) -> PathCheck
authorizer_group: Authorizer .group(string) -> GroupCheck
authorizer_serviceaccount: Authorizer .serviceAccount(string, string) -> Authorizer
groupcheck_resource: GroupCheck .resource(string) -> ResourceCheck
resourcecheck_subresource: ResourceCheck .subresource(string) -> ResourceCheck
resourcecheck_namespace: ResourceCheck .namespace(string) -> ResourceCheck
resourcecheck_name: ResourceCheck .name(string) -> ResourceCheck
authorizer_fieldselector: ResourceCheck .fieldSelector(string) -> ResourceCheck
authorizer_labelselector: ResourceCheck .labelSelector(string) -> ResourceCheck
pathcheck_check: PathCheck .check(string) -> Decision
resourcecheck_check: ResourceCheck .check(string) -> Decision
decision_errored: Decision .errored() -> bool
decision_error: Decision .error() -> string
decision_allowed: Decision .allowed() -> bool
decision_reason: Decision .reason() -> string
"""
for _name in _NAMES:
    for _before, _after in ((": ", " ."), ("-> ", "\n")):
        _TEXT = _TEXT.replace(
            f"{_before}{_name}{_after}", f"{_before}kubernetes.authorization.{_name}{_after}"
        )
DECLARATIONS = declare(_TEXT)


@dataclass(frozen=True)
class Decision:
    """What an authorizer answers; `error` is "" unless it could not decide."""

    is_allowed: bool
    why: str = ""
    failure: str = ""

    type_name = "kubernetes.authorization.Decision"
    unit_equality = True


@dataclass(frozen=True)
class Request:
    """What is asked: a path, or a resource.

    `service_account` is (namespace, name), or None for the requester.
    """

    verb: str = ""
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""
    service_account: tuple[str, str] | None = None


@dataclass(frozen=True)
class Authorizer:
    """Asks `decide` of the requester or of a service account."""

    decide: Callable[[Request], Decision]
    request: Request = Request()

    type_name = "kubernetes.authorization.Authorizer"
    unit_equality = True


@dataclass(frozen=True)
class PathCheck(Authorizer):
    """A question about a path, its verb missing."""

    type_name = "kubernetes.authorization.PathCheck"


@dataclass(frozen=True)
class GroupCheck(Authorizer):
    """An API group, its resource missing."""

    type_name = "kubernetes.authorization.GroupCheck"


@dataclass(frozen=True)
class ResourceCheck(Authorizer):
    """A question about a resource, its verb missing."""

    type_name = "kubernetes.authorization.ResourceCheck"


def _path(authorizer: Authorizer, path: str) -> PathCheck:
    if not path:
        raise EvaluationError("path must not be empty")
    return PathCheck(authorizer.decide, replace(authorizer.request, path=path))


def _group(authorizer: Authorizer, group: str) -> GroupCheck:
    return GroupCheck(authorizer.decide, replace(authorizer.request, group=group))


def _service_account(authorizer: Authorizer, namespace: str, name: str) -> Authorizer:
    if not namespace or not name:
        raise EvaluationError("Invalid service account namespace or name")
    return Authorizer(
        authorizer.decide, replace(authorizer.request, service_account=(namespace, name))
    )


def _resource(check: GroupCheck, resource: str) -> ResourceCheck:
    return ResourceCheck(check.decide, replace(check.request, resource=resource))


def _with(field: str) -> Callable[[ResourceCheck, str], ResourceCheck]:
    def add(check: ResourceCheck, value: str) -> ResourceCheck:
        changes: dict[str, Any] = {field: value}
        return ResourceCheck(check.decide, replace(check.request, **changes))

    return add


def _check(check: Authorizer, verb: str) -> Decision:
    return check.decide(replace(check.request, verb=verb))


IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {
    "authorizer_path": _path,
    "authorizer_group": _group,
    "authorizer_serviceaccount": _service_account,
    "groupcheck_resource": _resource,
    "resourcecheck_subresource": _with("subresource"),
    "resourcecheck_namespace": _with("namespace"),
    "resourcecheck_name": _with("name"),
    "authorizer_fieldselector": _with("field_selector"),
    "authorizer_labelselector": _with("label_selector"),
    "pathcheck_check": _check,
    "resourcecheck_check": _check,
    "decision_errored": lambda decision: bool(decision.failure),
    "decision_error": lambda decision: decision.failure,
    "decision_allowed": lambda decision: decision.is_allowed,
    "decision_reason": lambda decision: decision.why,
}
