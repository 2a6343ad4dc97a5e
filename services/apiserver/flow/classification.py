"""Which FlowSchema a request belongs to: the first that matches, by precedence and then name."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pilothouse.services.apiserver.flow.schemas import (
    FlowSchema,
    PathRule,
    ResourceRule,
    Rule,
    Subject,
)
from pilothouse.services.apiserver.requests import User

_ACCOUNT = "system:serviceaccount:"


class Digest(NamedTuple):
    """What of a request schemas look at. ``path`` is empty for requests on resources."""

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    path: str = ""


def in_order(schemas: Iterable[FlowSchema]) -> list[FlowSchema]:
    """The order in which they are asked."""
    return sorted(schemas, key=lambda each: (each.spec.matching_precedence, each.metadata.name))


def classify(schemas: Sequence[FlowSchema], user: User, digest: Digest) -> FlowSchema | None:
    """The first of ``schemas`` that matches."""
    for schema in schemas:
        if any(_applies(rule, user, digest) for rule in schema.spec.rules):
            return schema
    return None


def distinguisher(schema: FlowSchema, user: User, namespace: str) -> str:
    """What tells the flows of one schema apart; all are one flow where it says nothing."""
    method = schema.spec.distinguisher_method
    if method is None:
        return ""
    return namespace if method.type == "ByNamespace" else user.name


def _applies(rule: Rule, user: User, digest: Digest) -> bool:
    asked = (
        any(_on_path(each, digest) for each in rule.non_resource_rules)
        if digest.path
        else any(_on_resource(each, digest) for each in rule.resource_rules)
    )
    return asked and any(_is(subject, user) for subject in rule.subjects)


def _is(subject: Subject, user: User) -> bool:
    if subject.kind == "User" and subject.user is not None:
        return subject.user.name in ("*", user.name)
    if subject.kind == "Group" and subject.group is not None:
        return subject.group.name == "*" or subject.group.name in user.groups
    account = subject.service_account
    if subject.kind != "ServiceAccount" or account is None:
        return False
    if not user.name.startswith(_ACCOUNT):
        return False
    namespace, _, name = user.name[len(_ACCOUNT) :].partition(":")
    return namespace == account.namespace and account.name in ("*", name)


def _on_resource(rule: ResourceRule, digest: Digest) -> bool:
    if not (_in(rule.verbs, digest.verb) and _in(rule.api_groups, digest.group)):
        return False
    if not _in(rule.resources, digest.resource):
        return False
    if not digest.namespace:
        return rule.cluster_scope
    return _in(rule.namespaces, digest.namespace)


def _on_path(rule: PathRule, digest: Digest) -> bool:
    return _in(rule.verbs, digest.verb) and any(_covers(each, digest.path) for each in rule.paths)


def _covers(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return pattern == path


def _in(listed: Sequence[str], wanted: str) -> bool:
    return wanted in listed or "*" in listed
