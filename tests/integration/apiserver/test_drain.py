"""A server with limits of its own, on its way down: not ready first, then no more, then gone."""

import json
import signal
import time
import urllib.error
from concurrent.futures import ThreadPoolExecutor

import pytest

WATCH = "/api/v1/namespaces?watch=1&timeoutSeconds=60"
EVENTS = "/api/v1/namespaces/default/events"


@pytest.fixture
def other(started):
    limits = ("--enable-priority-and-fairness=false", "--max-requests-inflight=2")
    times = ("--shutdown-delay-duration=2s", "--event-ttl=1s", "--request-timeout=1s")
    with started(*limits, *times) as found:
        yield found


def test_limits_and_the_way_down(other):
    server, process = other
    # Without priority and fairness nobody is sorted; the request's time is the server's.
    late = server.get("/api/v1/pods?resourceVersion=9000000&resourceVersionMatch=NotOlderThan")
    assert (late.code, late.reason) == (504, "Timeout")
    assert "X-Kubernetes-PF-FlowSchema-UID" not in late.headers
    event = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "short"},
        "involvedObject": {"kind": "Pod", "name": "x", "namespace": "default"},
    }  # fmt: skip
    assert server.request("POST", EVENTS, event).code == 201
    for _ in range(100):
        if server.get(f"{EVENTS}/short").code == 404:
            break
        time.sleep(0.1)
    assert server.get(f"{EVENTS}/short").code == 404
    process.send_signal(signal.SIGTERM)
    for _ in range(100):
        ready = server.get("/readyz")
        if ready.code == 500:
            break
    assert b"[-]shutdown failed: reason withheld" in ready.body
    # What still asks is still answered, and told to connect elsewhere.
    answer = server.get("/api/v1/namespaces/default")
    assert answer.code == 200
    assert answer.headers["Connection"] == "close"
    assert json.loads(answer.body)["metadata"]["name"] == "default"
    assert process.wait(20) == 0
    with pytest.raises((urllib.error.URLError, OSError)):
        server.get("/readyz")


def test_what_runs_is_finished_and_watches_end_in_good_order(started):
    """No delay: nobody new comes in, and who is in goes out with what was asked for."""
    hanging = "/api/v1/pods?resourceVersion=9000000&resourceVersionMatch=NotOlderThan"
    with started() as (server, process), ThreadPoolExecutor(2) as pool:
        slow = pool.submit(server.get, hanging)
        watch = pool.submit(server.get, WATCH)
        open_ = (
            'apiserver_longrunning_requests{component="apiserver",group="",resource="namespaces"'
        )
        both = 'apiserver_current_inflight_requests{request_kind="readOnly"} 2'
        for _ in range(100):
            told = server.get("/metrics").body.decode()
            if open_ in told and both in told:
                break
        process.send_signal(signal.SIGTERM)
        late = slow.result()
        assert (late.code, late.headers["Connection"]) == (504, "close")
        events = [json.loads(line) for line in watch.result().body.splitlines()]
        assert {event["type"] for event in events} == {"ADDED"}
        with pytest.raises((urllib.error.URLError, OSError)):
            server.get("/readyz")
        assert process.wait(20) == 0
