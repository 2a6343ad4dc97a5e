"""An API server of its own, as a process on loopback, with a self-made authority and kubectl."""

import contextlib
import itertools
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from pilothouse.ops.pki import kubeconfig
from pilothouse.ops.pki.authority import Authority
from pilothouse.ops.pki.plan import control_plane, node
from pilothouse.services.runtime.clock import SystemClock

KUBECTL = Path(sys.executable).parent / "kubectl"
START_SECONDS_MAX = 30


@dataclass(frozen=True)
class Answer:
    """A status code, headers and a body."""

    code: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def reason(self):
        return self.json.get("reason")


@dataclass(frozen=True)
class Api:
    """The server, and the two ways to it: kubectl and plain HTTPS."""

    folder: Path
    url: str

    @property
    def pki(self):
        return self.folder / "pki"

    def kubectl(self, *arguments, stdin=None, fails=False):
        command = [KUBECTL, f"--kubeconfig={self.folder}/admin.conf", *arguments]
        environment = {**os.environ, "HOME": str(self.folder)}
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, env=environment, check=False
        )
        if not fails:
            assert done.returncode == 0, done.stderr
            return done.stdout
        assert done.returncode != 0, done.stdout
        return done.stderr

    def request(self, method, path, body=None, *, user="admin", headers=None):
        """One request with the certificate of ``user``; "" shows none."""
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        if user:
            context.load_cert_chain(self.pki / f"{user}.crt", self.pki / f"{user}.key")
        if isinstance(body, dict | list):
            body = json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(self.url + path, body, sent, method=method)  # noqa: S310 - ours
        try:
            with urllib.request.urlopen(request, context=context, timeout=20) as answer:  # noqa: S310 - ours
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as refused:
            return Answer(refused.code, dict(refused.headers), refused.read())

    def get(self, path, **options):
        return self.request("GET", path, **options)

    @property
    def log(self):
        return (self.folder / "log").read_text()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def api(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api")
    authority = Authority.open(folder / "pki", SystemClock())
    for certificate in (*control_plane(("127.0.0.1",)), *node("node-1", "127.0.0.1")):
        authority.ensure(certificate)
    authority.ensure_service_account_key()
    port = free_port()
    url = f"https://127.0.0.1:{port}"
    kubeconfig.write(folder / "admin.conf", cluster="test", server=url, pki=folder / "pki")
    command = [
        sys.executable, "-m", "pilothouse.ops.cli", "apiserver",
        f"--pki-dir={folder}/pki", f"--data-dir={folder}/data", f"--run-dir={folder}/run",
        f"--secure-port={port}", f"--mesh-address=127.0.0.1:{free_port()}",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    server = Api(folder, url)
    try:
        wait_ready(server, process)
        server.kubectl("create", "-f", "-", stdin=ACCOUNT)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


NUMBERS = itertools.count()
ACCOUNT = """
{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
"""


def wait_ready(server, process):
    for _ in range(START_SECONDS_MAX * 10):
        assert process.poll() is None, server.log
        try:
            if server.get("/readyz", user="").code == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(server.log)


@pytest.fixture
def namespace(api, request):
    """A namespace of the test's own, with a default account."""
    name = request.node.name.replace("_", "-").replace("[", "-").replace("]", "").lower()[:50]
    name = "".join(letter for letter in name if letter.isalnum() or letter == "-").strip("-")
    name += f"-{next(NUMBERS)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    assert api.request("POST", "/api/v1/namespaces", body).code == 201
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    assert api.request("POST", f"/api/v1/namespaces/{name}/serviceaccounts", account).code == 201
    return name


@pytest.fixture
def started(api, tmp_path):
    """A way to start another server, with the certificates of the first; yields its process too."""

    @contextlib.contextmanager
    def start(*flags):
        port = free_port()
        command = [
            sys.executable, "-m", "pilothouse.ops.cli", "apiserver", f"--pki-dir={api.pki}",
            f"--data-dir={tmp_path}", f"--run-dir={tmp_path}", f"--secure-port={port}", *flags,
        ]  # fmt: skip
        server = Api(api.folder, f"https://127.0.0.1:{port}")
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_ready(server, process)
            yield server, process
        finally:
            process.kill()
            process.wait()

    return start
