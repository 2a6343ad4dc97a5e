"""The kinds that only answer a question: access reviews, self reviews and token reviews."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from pilothouse.services.apiserver.chain.accounts import Accounts
from pilothouse.services.apiserver.chain.attributes import Attributes
from pilothouse.services.apiserver.chain.authorization import MASTERS, Authorization
from pilothouse.services.apiserver.chain.tokens import InvalidToken
from pilothouse.services.apiserver.requests import Target, User
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import BadRequest, Cause, Invalid, Subject

Document: TypeAlias = dict[str, Any]

AUTHENTICATION = "authentication.k8s.io"
AUTHORIZATION = "authorization.k8s.io"
KINDS = (
    "localsubjectaccessreviews",
    "selfsubjectaccessreviews",
    "selfsubjectreviews",
    "selfsubjectrulesreviews",
    "subjectaccessreviews",
    "tokenreviews",
)


class Reviews:
    """Answers every review kind from the same authorization that judges requests."""

    def __init__(self, authorization: Authorization, accounts: Accounts) -> None:
        self._authorization = authorization
        self._accounts = accounts
        self._answers: dict[str, Callable[[User, Target, Document], Document]] = {
            "selfsubjectreviews": self._who_am_i,
            "tokenreviews": self._token,
            "selfsubjectaccessreviews": self._own_access,
            "subjectaccessreviews": self._access,
            "localsubjectaccessreviews": self._local_access,
            "selfsubjectrulesreviews": self._rules,
        }

    async def create(self, user: User, target: Target, body: Document) -> Document:
        """The review with its ``status``."""
        status = self._answers[target.plural](user, target, body.get("spec") or {})
        return {**body, "metadata": body.get("metadata") or {}, "status": status}

    async def list(self, user: User, target: Target) -> Sequence[Document]:
        """Nothing: reviews are not kept."""
        del user, target
        return ()

    def _who_am_i(self, user: User, target: Target, spec: Document) -> Document:
        del target, spec
        return {"userInfo": _user_info(user)}

    def _token(self, user: User, target: Target, spec: Document) -> Document:
        del user, target
        wanted = tuple(spec.get("audiences") or self._accounts.audiences)
        try:
            found = self._accounts.recognize(spec.get("token") or "", wanted)
            audiences = self._accounts.audiences_of(spec.get("token") or "", wanted)
        except InvalidToken as error:
            return {"authenticated": False, "user": {}, "error": str(error)}
        return {"authenticated": True, "user": _user_info(found), "audiences": audiences}

    def _own_access(self, user: User, target: Target, spec: Document) -> Document:
        del target
        _refuse("SelfSubjectAccessReview", _check_attributes(spec))
        return self._decide(user, spec)

    def _access(self, user: User, target: Target, spec: Document) -> Document:
        del user, target
        _refuse("SubjectAccessReview", _check_attributes(spec) + _check_user(spec))
        return self._decide(_reviewed_user(spec), spec)

    def _local_access(self, user: User, target: Target, spec: Document) -> Document:
        del user
        _refuse("LocalSubjectAccessReview", _check_attributes(spec) + _check_user(spec))
        namespace = (spec.get("resourceAttributes") or {}).get("namespace", "")
        if namespace != target.namespace:
            raise BadRequest(
                f"spec.resourceAttributes.namespace must match namespace: {target.namespace}"
            )
        return self._decide(_reviewed_user(spec), spec)

    def _decide(self, user: User, spec: Document) -> Document:
        decision = self._authorization.decide(user, _attributes(spec))
        status: Document = {"allowed": decision.allowed}
        if decision.reason:
            status["reason"] = decision.reason
        return status

    def _rules(self, user: User, target: Target, spec: Document) -> Document:
        del target
        resource_rules: list[Document] = []
        path_rules: list[Document] = []
        if MASTERS in user.groups:
            everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
            resource_rules.append(everything)
            path_rules.append({"verbs": ["*"], "nonResourceURLs": ["*"]})
        for grant in self._authorization.grants(user, spec.get("namespace") or ""):
            for rule in grant.documents:
                listed = path_rules if rule.get("nonResourceURLs") else resource_rules
                listed.append(dict(rule))
        return {
            "resourceRules": resource_rules, "nonResourceRules": path_rules, "incomplete": False,
        }  # fmt: skip


def _check_attributes(spec: Mapping[str, Any]) -> list[Cause]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        why = "cannot be specified in combination with resourceAttributes"
        return [names.invalid("spec.nonResourceAttributes", path, why)]
    if resource is None and path is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        return [names.invalid("spec.resourceAttributes", None, why)]
    return []


def _check_user(spec: Mapping[str, Any]) -> list[Cause]:
    if spec.get("user") or spec.get("groups"):
        return []
    return [names.invalid("spec.user", "", "at least one of user or group must be specified")]


def _refuse(kind: str, causes: Sequence[Cause]) -> None:
    if not causes:
        return
    told = [f"{cause.field}: {cause.message}" for cause in causes]
    shown = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    subject = Subject(group=AUTHORIZATION, kind=kind)
    raise Invalid(f'{kind}.{AUTHORIZATION} "" is invalid: {shown}', subject=subject, causes=causes)


def _attributes(spec: Mapping[str, Any]) -> Attributes:
    path: Mapping[str, Any] | None = spec.get("nonResourceAttributes")
    if path is not None:
        return Attributes(verb=path.get("verb", ""), path=path.get("path") or "/")
    asked: Mapping[str, Any] = spec.get("resourceAttributes") or {}
    return Attributes(
        verb=asked.get("verb", ""),
        group=asked.get("group", ""),
        version=asked.get("version", ""),
        resource=asked.get("resource", ""),
        subresource=asked.get("subresource", ""),
        namespace=asked.get("namespace", ""),
        name=asked.get("name", ""),
    )


def _reviewed_user(spec: Mapping[str, Any]) -> User:
    name, groups = spec.get("user") or "", tuple(spec.get("groups") or ())
    return User(name=name, groups=groups, uid=spec.get("uid") or "")


def _user_info(user: User) -> Document:
    document: Document = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        document["uid"] = user.uid
    if user.extra:
        document["extra"] = {key: list(values) for key, values in user.extra.items()}
    return document
