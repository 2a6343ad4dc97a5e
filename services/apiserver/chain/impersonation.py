"""Acting as somebody else: the ``Impersonate-…`` headers, for those who may."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from pilothouse.services.apiserver.chain.attributes import Attributes
from pilothouse.services.apiserver.requests import User
from pilothouse.services.machinery.errors import BadRequest

USER = "Impersonate-User"
GROUP = "Impersonate-Group"
UID = "Impersonate-Uid"
EXTRA_PREFIX = "impersonate-extra-"
_PREFIX = "impersonate-"
AUTHENTICATION = "authentication.k8s.io"
ANONYMOUS = "system:anonymous"
_ACCOUNT = "system:serviceaccount:"

Headers = Iterable[tuple[str, str]]
Require = Callable[[User, Attributes], None]


@lru_cache(maxsize=64)
def impersonates(names: tuple[str, ...]) -> bool:
    """Whether headers of these names ask to act as somebody else."""
    return any(name.lower().startswith(_PREFIX) for name in names)


def impersonated(user: User, headers: Headers, require: Require) -> User:
    """Who the request is to be judged as: mostly ``user``.

    ``require`` raises Forbidden on what ``user`` may not impersonate. BadRequest where a group, a
    uid or extra is named without a user.
    """
    name, uid = "", ""
    groups: list[str] = []
    extra: dict[str, tuple[str, ...]] = {}
    for key, value in headers:
        lowered = key.lower()
        if lowered == USER.lower():
            name = value
        elif lowered == GROUP.lower():
            groups.append(value)
        elif lowered == UID.lower():
            uid = value
        elif lowered.startswith(EXTRA_PREFIX):
            part = lowered[len(EXTRA_PREFIX) :]
            extra[part] = (*extra.get(part, ()), value)
    if not name:
        if groups or uid or extra:
            raise BadRequest(f"without {USER} no group, uid or extra can be impersonated")
        return user
    for attributes in _asked(name, groups, uid, extra):
        require(user, attributes)
    return User(name=name, groups=_groups(name, groups), uid=uid, extra=extra)


def _asked(
    name: str, groups: Sequence[str], uid: str, extra: dict[str, tuple[str, ...]]
) -> Iterable[Attributes]:
    account = _account(name)
    if account is not None:
        namespace, account_name = account
        yield Attributes(
            "impersonate", resource="serviceaccounts", namespace=namespace, name=account_name
        )
    else:
        yield Attributes("impersonate", resource="users", name=name)
    for group in groups:
        yield Attributes("impersonate", resource="groups", name=group)
    if uid:
        yield Attributes("impersonate", AUTHENTICATION, resource="uids", name=uid)
    for key, values in extra.items():
        for value in values:
            yield Attributes(
                "impersonate", AUTHENTICATION, resource="userextras", subresource=key, name=value
            )


def _account(name: str) -> tuple[str, str] | None:
    if not name.startswith(_ACCOUNT):
        return None
    namespace, _, account = name[len(_ACCOUNT) :].partition(":")
    return (namespace, account) if namespace and account else None


def _groups(name: str, named: Sequence[str]) -> tuple[str, ...]:
    groups = list(named)
    account = _account(name)
    if account is not None and not groups:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{account[0]}"]
    known = "system:unauthenticated" if name == ANONYMOUS else "system:authenticated"
    if known not in groups:
        groups.append(known)
    return tuple(groups)
