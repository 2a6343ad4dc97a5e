"""Metrics, durations and health, as clients read them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.apiserver.requests import Target
from pilothouse.services.apiserver.rest.counters import Counters, key_of, path_key
from pilothouse.services.apiserver.rest.health import Health
from pilothouse.services.apiserver.rest.paths import Asked
from pilothouse.services.apiserver.rest.request import AuditIds
from pilothouse.services.machinery import durations
from pilothouse.services.runtime.exposition import Family, render, wants_open_metrics

PODS = Target("", "v1", "pods", "default")


def test_a_request_is_counted_under_upstreams_labels():
    counters = Counters()
    key = key_of(Asked("list", PODS), dry_run=False, applies=False)
    counters.count(key, 200, 0.03, 1500)
    text = render(counters.families()).decode()
    told = (
        'component="apiserver",dry_run="",group="",resource="pods",scope="namespace",'
        'subresource="",verb="LIST",version="v1"'
    )
    assert f'apiserver_request_total{{code="200",{told}}} 1' in text
    assert f'apiserver_request_duration_seconds_bucket{{{told},le="0.025"}} 0' in text
    assert f'apiserver_request_duration_seconds_bucket{{{told},le="0.05"}} 1' in text
    assert f'apiserver_request_duration_seconds_bucket{{{told},le="+Inf"}} 1' in text
    assert f"apiserver_request_duration_seconds_sum{{{told}}} 0.03" in text
    told = told.replace('dry_run="",', "")
    assert f'apiserver_response_sizes_bucket{{{told},le="1000"}} 0' in text
    assert f'apiserver_response_sizes_bucket{{{told},le="10000"}} 1' in text


def test_scopes_and_verbs():
    one = Asked("patch", Target("apps", "v1", "deployments", "default", "web", "scale"))
    assert key_of(one, dry_run=True, applies=True) == (
        "APPLY", "apps", "v1", "deployments", "scale", "resource", "All",
    )  # fmt: skip
    assert key_of(Asked("create", PODS), dry_run=False, applies=False)[5] == "resource"
    everywhere = Asked("watch", Target("", "v1", "pods"))
    assert key_of(everywhere, dry_run=False, applies=False)[0::5] == ("WATCH", "cluster")
    assert path_key("BREW", "/api")[0] == "other"


def test_clients_can_not_make_series_without_end():
    counters = Counters()
    for number in range(10_000):
        counters.count(("GET", str(number), "", "", "", "", ""), 404, 0.0, 0)
    text = render(counters.families()).decode()
    assert text.count("apiserver_request_total{") <= 4097


def test_open_metrics_ends_and_names_counters_so():
    family = Family("x_total", "counter", "X.").add(2, ("a", 'q"\\\n'))
    assert render([family]) == (
        b'# HELP x_total X.\n# TYPE x_total counter\nx_total{a="q\\"\\\\\\n"} 2\n'
    )
    assert render([family], open_metrics=True) == (
        b'# HELP x X.\n# TYPE x counter\nx_total{a="q\\"\\\\\\n"} 2\n# EOF\n'
    )
    assert wants_open_metrics("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert not wants_open_metrics("text/plain")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("-2s", -2), (".5s", 0.5)],
)
def test_durations(text, seconds):
    assert durations.parse(text) == pytest.approx(seconds)


@given(st.text(max_size=20))
def test_what_is_no_duration_is_refused_and_nothing_else_happens(text):
    with contextlib.suppress(ValueError):
        assert isinstance(durations.parse(text), float)


def test_a_number_without_unit_is_told_so():
    with pytest.raises(ValueError, match='missing unit in duration "10"'):
        durations.parse("10")


def test_audit_ids_are_uuids_and_the_clients_own_is_kept():
    ids = AuditIds(2**74 - 1)
    first, second = ids.of(None), ids.of(None)
    assert first != second
    assert [len(part) for part in first.split("-")] == [8, 4, 4, 4, 12]
    assert ids.of("mine") == "mine"
    assert len(ids.of("x" * 1000)) == 64


async def well():
    return ""


async def ill():
    return "the disk is gone"


@pytest.fixture
def health():
    checks = {"ping": well, "etcd": ill}
    return Health({"livez": {"ping": well}, "readyz": checks, "healthz": checks})


async def test_health_texts(health):
    assert (await health.reply(["livez"], {}, [])).body == b"ok"
    verbose = await health.reply(["livez"], {"verbose": ""}, [])
    assert verbose.body == b"[+]ping ok\nlivez check passed\n"
    failed = await health.reply(["readyz"], {}, [])
    assert failed.status == 500
    assert failed.body == b"[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n"
    spared = await health.reply(["readyz"], {"verbose": ""}, ["etcd", "nothing"])
    assert spared.status == 200
    assert spared.body == (
        b"[+]ping ok\n[+]etcd excluded: ok\n"
        b'warn: some health checks cannot be excluded: no matches for "nothing"\n'
        b"readyz check passed\n"
    )
    one = await health.reply(["readyz", "etcd"], {}, [])
    assert (one.status, one.body) == (500, b"internal server error: the disk is gone\n")
    assert await health.reply(["readyz", "nothing"], {}, []) is None


async def test_checks_are_counted(health):
    await health.reply(["readyz"], {}, [])
    text = render(health.families()).decode()
    assert 'kubernetes_healthcheck{name="etcd",type="readyz"} 0' in text
    told = 'kubernetes_healthchecks_total{name="ping",status="success",type="readyz"} 1'
    assert told in text
