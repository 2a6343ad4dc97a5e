"""
Legacy tokens: Secrets that were made for accounts of themselves go when nobody used them for long.

Reads   Secret (tokens of accounts), ServiceAccount, Pod, ConfigMap (since when their use is noted)
Writes  Secret (a label that takes the token's force; after as long again, delete)
Again   every day

Only those that their account names are looked at: a Secret that a person made is named by nobody.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from typing import Protocol

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds import identity
from pilothouse.services.machinery.kinds.identity import Secret, ServiceAccount
from pilothouse.services.machinery.objects import Key
from pilothouse.services.runtime.control.loop import DONE, Result

LOOK_SECONDS = 24 * 3600.0


class Act(Enum):
    """What is to be done about the Secret."""

    NOTHING = "nothing"
    INVALIDATE = "invalidate"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Day:
    """``today``, and the ``first`` day of those in which a use counts; both ISO dates in UTC."""

    now: float
    unused_seconds: float

    @property
    def today(self) -> str:
        return timestamps.render(self.now)[:10]

    @property
    def first(self) -> str:
        return timestamps.render(self.now - self.unused_seconds)[:10]


def is_idle(secret: Secret, account: ServiceAccount | None, day: Day) -> bool:
    """Whether it is old, made for the account of itself, and no use of it is noted."""
    metadata = secret.metadata
    created = metadata.creation_timestamp
    if secret.type != identity.TOKEN_TYPE or metadata.deleting or not created or account is None:
        return False
    if timestamps.parse(created) >= day.now - day.unused_seconds:
        return False
    if all(named.name != metadata.name for named in account.secrets):
        return False
    if metadata.annotations.get(identity.ACCOUNT_UID) not in {None, "", account.metadata.uid}:
        return False
    used = metadata.labels.get(identity.LAST_USED)
    # What can not be read may have been yesterday.
    return used is None or (_date(used) is not None and used < day.first)


def plan(secret: Secret, tracked: str, day: Day, *, mounted: bool) -> Act:
    """Of an idle one; ``tracked`` is the day since which uses are noted, empty for never."""
    since = _date(tracked)
    if mounted or since is None:
        return Act.NOTHING
    noted = timestamps.parse(f"{since + timedelta(days=1)}T00:00:00Z")
    if day.now < noted + day.unused_seconds:
        return Act.NOTHING
    invalid = secret.metadata.labels.get(identity.INVALID_SINCE, "")
    if _date(invalid) is None:
        return Act.INVALIDATE
    return Act.DELETE if invalid < day.first else Act.NOTHING


def _date(text: str) -> date | None:
    """A day as it is written in labels: YYYY-MM-DD and nothing else."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found.isoformat() == text else None


class Cluster(Protocol):
    """What this controller asks of the API; keys are of Secrets."""

    def secret(self, key: Key) -> Secret | None: ...
    def account(self, secret: Secret) -> ServiceAccount | None: ...
    def day(self) -> Day: ...
    async def tracked(self) -> str:
        """The day since which uses of tokens are noted; empty when they are not."""

    async def is_mounted(self, secret: Secret) -> bool: ...
    async def invalidate(self, secret: Secret, today: str) -> None: ...
    async def delete(self, secret: Secret) -> None: ...


class LegacyTokenController:
    """Takes the force of tokens that nobody uses, and then clears them away."""

    name = "legacy-serviceaccount-token-cleaner"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, key: Key) -> Result:
        secret = self._cluster.secret(key)
        if secret is None:
            return DONE
        day = self._cluster.day()
        if is_idle(secret, self._cluster.account(secret), day):
            tracked = await self._cluster.tracked()
            mounted = bool(tracked) and await self._cluster.is_mounted(secret)
            act = plan(secret, tracked, day, mounted=mounted)
            if act is Act.INVALIDATE:
                await self._cluster.invalidate(secret, day.today)
            elif act is Act.DELETE:
                await self._cluster.delete(secret)
        return Result(again_after=LOOK_SECONDS)
