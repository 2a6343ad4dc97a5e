"""A server with limits of its own, on its way down: not ready first, then no more, then gone."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error

import pytest

WATCH = "/api/v1/namespaces?watch=1&timeoutSeconds=60"
EVENTS = "/api/v1/namespaces/default/events"


@pytest.fixture
def other(api, tmp_path):
    """Another server with the certificates of the first, and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "pilothouse.ops.cli", "apiserver", f"--pki-dir={api.pki}",
        f"--data-dir={tmp_path}", f"--run-dir={tmp_path}", f"--secure-port={port}",
        "--shutdown-delay-duration=2s", "--event-ttl=1s", "--enable-priority-and-fairness=false",
        "--max-requests-inflight=2", "--request-timeout=1s",
    ]  # fmt: skip
    server = type(api)(api.folder, f"https://127.0.0.1:{port}")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(300):
            try:
                if server.get("/readyz").code == 200:
                    break
            except OSError:
                time.sleep(0.1)
        yield server, process
    finally:
        process.kill()
        process.wait()


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
