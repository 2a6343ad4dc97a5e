"""Who a container's process is: by number, by name in the image's files, with which groups."""

from typing import NamedTuple

from pilothouse.cri_shim.configs import STRICT, ContainerSecurity
from pilothouse.services.machinery.errors import Invalid

_PASSWD_FIELDS, _GROUP_FIELDS = 4, 4


class User(NamedTuple):
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()


class _Account(NamedTuple):
    name: str
    uid: int
    gid: int


class Accounts(NamedTuple):
    """An image's ``/etc/passwd`` and ``/etc/group``; empty when it has none."""

    passwd: str = ""
    group: str = ""

    def users(self) -> list[_Account]:
        return [
            _Account(parts[0], int(parts[2]), int(parts[3]))
            for line in self.passwd.splitlines()
            if len(parts := line.strip().split(":")) >= _PASSWD_FIELDS
            and parts[2].isdecimal() and parts[3].isdecimal()
        ]  # fmt: skip

    def groups(self) -> list[tuple[str, int, list[str]]]:
        return [
            (parts[0], int(parts[2]), parts[3].split(","))
            for line in self.group.splitlines()
            if len(parts := line.strip().split(":")) >= _GROUP_FIELDS and parts[2].isdecimal()
        ]


def resolve(security: ContainerSecurity, image_user: str, accounts: Accounts) -> User:
    """The process's user; Invalid when a name is not in the image's files."""
    said = image_user
    if security.run_as_user is not None:
        said = str(security.run_as_user.value)
    elif security.run_as_username:
        said = security.run_as_username
    elif security.run_as_group is not None:
        raise Invalid("user group is specified without user")
    name, _, group = said.partition(":")
    account = _account(name or "0", accounts)
    gid = account.gid
    if security.run_as_group is not None:
        gid = security.run_as_group.value
    elif group:
        gid = _group(group, accounts)
    extra = set(security.supplemental_groups) | {gid}
    if security.supplemental_groups_policy != STRICT and account.name:
        extra |= {number for _, number, members in accounts.groups() if account.name in members}
    return User(account.uid, gid, tuple(sorted(extra)))


def _account(said: str, accounts: Accounts) -> _Account:
    users = accounts.users()
    for account in users:
        if account.name == said:
            return account
    if not said.isdecimal():
        raise Invalid(f"unable to find user {said}: no matching entries in passwd file")
    number = int(said)
    known = next((item for item in users if item.uid == number), None)
    return known or _Account("", number, 0)


def _group(said: str, accounts: Accounts) -> int:
    for name, number, _ in accounts.groups():
        if name == said:
            return number
    if not said.isdecimal():
        raise Invalid(f"unable to find group {said}: no matching entries in group file")
    return int(said)
