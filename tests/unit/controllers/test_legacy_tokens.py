"""Tokens that were made of themselves lose their force, and then go, when nobody uses them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.controllers import config
from pilothouse.services.controllers.adapters.identity.legacytokens import words
from pilothouse.services.controllers.identity.legacytokens import Day, LegacyTokenController
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.kinds import identity
from pilothouse.services.machinery.kinds.identity import Named, Secret, ServiceAccount
from pilothouse.services.machinery.objects import Key, Metadata

NOW = timestamps.parse("2026-06-15T12:00:00Z")
DAY = 24 * 3600.0
YEAR = 365 * DAY
KEY = Key("a", "t")
replace = msgspec.structs.replace


class Vault:
    """One Secret, what is known about it, and what is done to it."""

    def __init__(self, labels=(), *, days=900, since="2020-01-01", mounted=False, **more):
        notes = {identity.ACCOUNT_NAME: "robot", identity.ACCOUNT_UID: more.pop("uid", "u")}
        self.it = Secret(
            metadata=Metadata(
                name="t",
                namespace="a",
                annotations=notes,
                labels=dict(labels),
                creation_timestamp=timestamps.render(NOW - days * DAY),
            ),
            type=more.pop("type", identity.TOKEN_TYPE),
        )
        self.names = more.pop("names", ("t",))
        self.since = since
        self.mounted = mounted
        self.acts = []
        self.clock = NOW

    def secret(self, key):
        return self.it

    def account(self, secret):
        found = Metadata(name="robot", namespace="a", uid="u")
        return ServiceAccount(metadata=found, secrets=tuple(Named(name=n) for n in self.names))

    def day(self):
        return Day(self.clock, YEAR)

    async def tracked(self):
        return self.since

    async def is_mounted(self, secret):
        return self.mounted

    async def invalidate(self, secret, today):
        self.acts.append("invalidate")
        said = {**secret.metadata.labels, identity.INVALID_SINCE: today}
        self.it = replace(secret, metadata=replace(secret.metadata, labels=said))

    async def delete(self, secret):
        self.acts.append("delete")
        self.it = None


async def acts(vault):
    await LegacyTokenController(vault).reconcile(KEY)
    return vault.acts


async def test_what_nobody_uses_loses_its_force_and_goes_a_year_later():
    vault = Vault()
    assert await acts(vault) == ["invalidate"]
    assert vault.it.metadata.labels == {identity.INVALID_SINCE: "2026-06-15"}
    vault.clock += YEAR
    assert await acts(vault) == ["invalidate"]
    vault.clock += DAY
    assert await acts(vault) == ["invalidate", "delete"]


@pytest.mark.parametrize(
    "vault",
    [
        Vault({identity.LAST_USED: "2025-06-15"}),
        Vault({identity.LAST_USED: "yesterday"}),
        Vault({identity.LAST_USED: "20200101"}),
        Vault(days=364),
        Vault(names=()),
        Vault(uid="another"),
        Vault(type="Opaque"),
        Vault(mounted=True),
        Vault(since=""),
        Vault(since="2025-06-15"),
    ],
)
async def test_what_may_be_in_use_or_is_a_persons_stays(vault):
    assert await acts(vault) == []


async def test_what_was_used_long_ago_is_used_no_more():
    assert await acts(Vault({identity.LAST_USED: "2025-06-14"})) == ["invalidate"]
    assert await acts(Vault(since="2025-06-13")) == ["invalidate"]
    assert await acts(Vault({identity.INVALID_SINCE: "never"})) == ["invalidate"]
    assert await acts(Vault({identity.INVALID_SINCE: "2025-06-14"})) == ["delete"]


DATES = st.none() | st.sampled_from(["2020-02-02", "2025-06-14", "2025-06-15", "2026-06-15", "no"])


@given(DATES, DATES, st.booleans(), st.integers(0, 900))
async def test_looked_at_twice_it_is_done_once(used, invalid, mounted, days):
    told = {identity.LAST_USED: used, identity.INVALID_SINCE: invalid}
    labels = {name: value for name, value in told.items() if value is not None}
    vault = Vault(labels, mounted=mounted, days=days)
    first = list(await acts(vault))
    assert await acts(vault) == first
    assert not (first and (mounted or days <= 365))


def test_what_pods_mount_is_found_wherever_it_is_named():
    spec = {
        "volumes": [{"projected": {"sources": [{"secret": {"name": "one"}}]}}],
        "containers": [{"envFrom": [{"secretRef": {"name": "two"}}], "ports": [{"hostPort": 1}]}],
    }
    assert set(words(spec)) == {"one", "two"}


def test_the_time_can_be_told():
    told = ["--server=unix:///api.sock", "--legacy-service-account-token-clean-up-period=48h"]
    assert config.parse(told).settings.unused_tokens_seconds == 2 * DAY
    with pytest.raises(SystemExit):
        config.parse([told[0], "--legacy-service-account-token-clean-up-period=0s"])
