"""Health, warnings, and the catalog's words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from pilothouse.services.apiserver.kinds.catalog import builtin_catalog
from pilothouse.services.apiserver.rest.health import Health
from pilothouse.services.apiserver.rest.replies import warn
from pilothouse.services.machinery.errors import NotFound

CATALOG = builtin_catalog()


async def well():
    return ""


async def ill():
    return "the disk is full"


HEALTH = Health({"readyz": {"ping": well, "etcd": ill}, "livez": {"ping": well}})


async def text_of(segments, query=(), excluded=()):
    reply = await HEALTH.reply(segments, dict.fromkeys(query, ""), list(excluded))
    return reply.status, reply.body.decode()


async def test_health_in_words():
    assert await text_of(["livez"]) == (200, "ok")
    assert await text_of(["livez"], ["verbose"]) == (200, "[+]ping ok\nlivez check passed\n")
    assert await text_of(["readyz"]) == (
        500,
        "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n",
    )
    assert await text_of(["readyz"], ["verbose"], ["etcd"]) == (
        200,
        "[+]ping ok\n[+]etcd excluded: ok\nreadyz check passed\n",
    )
    assert (await text_of(["readyz", "etcd"]))[0] == 500
    assert await text_of(["readyz", "ping"]) == (200, "ok")
    assert await HEALTH.reply(["readyz", "none"], {}, []) is None


@given(st.text())
def test_a_warning_never_breaks_a_header(text):
    headers = CIMultiDict()
    warn(headers, [text])
    value = headers["Warning"]
    assert value.startswith('299 - "')
    assert not set("\r\n\0") & set(value)


def test_a_missing_kind_is_not_found():
    with pytest.raises(NotFound):
        CATALOG.lookup("", "v1", "none")
