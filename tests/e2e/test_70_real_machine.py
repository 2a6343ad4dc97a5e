"""``pilothouse server`` and ``pilothouse join`` on machines where systemd is the first process."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kit.cluster import EXAMPLE, TOP
from kit.machine import Machine, connect

from pilothouse.ops.images.__main__ import build
from pilothouse.ops.local.bring_up import IMAGES

BIN = TOP / ".venv" / "bin"
PILOTHOUSE = BIN / "pilothouse"
SERVER, WORKER = "192.0.2.10", "192.0.2.11"
CONTROL_PLANE = ("apiserver", "controllers", "scheduler")
NODE = ("kubelet", "proxy")
MTU = 1400
CAP_NET_ADMIN = 12
SECCOMP_FILTER = 2
# What a person does where both commands find no systemd: the lines that they print.
BY_HAND = r"""
set -e
programs=$1 address=$2 example=$3
mkdir /tmp/empty
mount --bind /tmp/empty /run/systemd
cd /tmp
export PATH="$programs:$PATH" KUBECONFIG=/etc/pilothouse/admin.conf KUBECACHEDIR=/tmp/kubectl
start() {
  grep '^  (' "$1" >lines
  while read -r line; do sh -c "$line" >>by-hand.log 2>&1 </dev/null & done <lines
}
pilothouse server --address "$address" >server.out
start server.out
timeout 30 sh -c 'until kubectl get --raw /readyz; do sleep 0.2; done' >/dev/null 2>&1
pilothouse pki node one --address "$address" --out one.d
pilothouse join --from-dir one.d --server "$address" >join.out
start join.out
kubectl create -f "$example"
kubectl rollout status deployment ngx-deployment --timeout=40s
"""


@dataclass
class Pair:
    """A control plane on one machine, a node on the other."""

    server: Machine
    node: Machine

    def kubectl(self, *arguments: str | Path) -> str:
        """As root on the server, with what ``pilothouse server`` wrote."""
        return self.server.run(BIN / "kubectl", "--kubeconfig=/etc/pilothouse/admin.conf",
                               "--cache-dir=/tmp/kubectl", *arguments)  # fmt: skip

    def get(self, *arguments: str) -> Any:
        """``kubectl get … -o json``, decoded."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def example_is_ready(self) -> bool:
        status = self.get("deployment", "ngx-deployment")["status"]
        return status.get("readyReplicas") == 2

    def node_is_ready(self) -> bool:
        found = self.get("nodes")["items"]
        ready = [
            c["status"] for n in found for c in n["status"]["conditions"] if c["type"] == "Ready"
        ]
        return ready == ["True"]

    def machine_of(self, service: str) -> Machine:
        return self.server if service in CONTROL_PLANE else self.node


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """README's three commands, as root of two machines, and the example from the server."""
    archive = build(IMAGES)
    found = Pair(*(Machine(name, tmp_path_factory.mktemp(name)) for name in ("server", "worker-1")))
    try:
        for machine in (found.server, found.node):
            machine.boot()
        # Not every machine calls its interface eth0.
        connect(found.server, f"{SERVER}/24", found.node, f"{WORKER}/24", interface="ens3", mtu=MTU)
        # Without a route to it, a node's own programs could not even try an address of a Service.
        found.node.run("ip", "route", "add", "default", "via", SERVER)
        found.server.run(PILOTHOUSE, "server", "--address", SERVER)
        found.server.run(PILOTHOUSE, "pki", "node", "worker-1", "--address", WORKER,
                         "--out", "/tmp/worker-1.d")  # fmt: skip
        found.node.receive(found.server, "/tmp/worker-1.d")
        found.node.run("systemctl", "start", "containerd")
        found.node.run("ctr", "--namespace", "k8s.io", "images", "import", archive)
        found.node.run(PILOTHOUSE, "join", "--from-dir", "/tmp/worker-1.d", "--server", SERVER)
        found.node.eventually("the node is Ready", found.node_is_ready)
        found.kubectl("create", "-f", EXAMPLE)
        found.node.eventually("the example is 2/2", found.example_is_ready)
        yield found
    finally:
        for machine in (found.node, found.server):
            machine.off()


def test_pods_answer_on_the_services_address(pair: Pair) -> None:
    service = pair.get("service", "ngx-service")["spec"]
    address, port = service["clusterIP"], service["ports"][0]["nodePort"]
    pods = {item["metadata"]["name"] for item in pair.get("pods")["items"]}
    script = f"for i in $(seq 20); do curl -sS --fail --max-time 10 http://{address}/hostname; done"
    assert set(pair.node.run("sh", "-c", script).split()) == pods
    url = f"http://{WORKER}:{port}/hostname"
    assert pair.server.run("curl", "-sS", "--fail", "--max-time", "10", url).strip() in pods
    name = min(pods)
    # The API server reaches the kubelet over the cable, with its own certificate.
    assert pair.kubectl("exec", name, "--", "hostname").strip() == name
    pair.kubectl("logs", name)


def test_the_nodes_interface_gives_the_pods_their_mtu(pair: Pair) -> None:
    configured = json.loads(pair.node.run("cat", "/etc/cni/net.d/10-pilothouse.conflist"))
    bridge = configured["plugins"][0]
    assert bridge["mtu"] == MTU
    assert bridge["ipam"]["dataDir"].startswith("/var/lib/")


def test_the_units_confine_the_services(pair: Pair) -> None:
    for service in (*CONTROL_PLANE, "proxy"):
        machine = pair.machine_of(service)
        status = machine.status_of(f"pilothouse-{service}")
        allowed = 1 << CAP_NET_ADMIN if service == "proxy" else 0
        assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == allowed
        assert status["NoNewPrivs"] == "1"
        assert int(status["Seccomp"]) == SECCOMP_FILTER
        inside = ["nsenter", "-t", machine.unit(f"pilothouse-{service}", "MainPID"), "-m"]
        assert machine.try_run(*inside, "touch", "/etc/pilothouse/x").returncode != 0
        assert machine.try_run(*inside, "touch", "/usr/x").returncode != 0


def test_secrets_are_roots_alone(pair: Pair) -> None:
    for machine in (pair.server, pair.node):
        keys = machine.run("find", "/etc/pilothouse", "/var/lib/pilothouse", "/run/pilothouse",
                           "(", "-name", "*.key", "-o", "-name", "store.db*", "-o", "-type", "s",
                           "-o", "-name", "admin.conf", ")", "-printf", "%m %p\n")  # fmt: skip
        assert keys
        assert {line.split()[0] for line in keys.splitlines()} == {"600"}, keys
        assert machine.run("stat", "-c", "%a", "/var/lib/pilothouse").strip() == "700"


def test_a_shell_reads_the_settings_as_systemd_does(pair: Pair) -> None:
    for service in (*CONTROL_PLANE, *NODE):
        machine = pair.machine_of(service)
        file = f"/etc/default/pilothouse-{service}"
        unit = (
            f"[Service]\\nType=oneshot\\nEnvironmentFile={file}\\nExecStart=/bin/sh -c env\\n"
            "StandardOutput=truncate:/tmp/given\\n"
        )
        machine.run("sh", "-c", f"printf '{unit}' >/run/systemd/system/given.service")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "start", "given")
        given = machine.run("cat", "/tmp/given")
        in_shell = machine.run("sh", "-c", f"set -a; . {file}; env")
        for name in ("PATH=", "PILOTHOUSE_FLAGS="):
            values = [
                [line for line in text.splitlines() if line.startswith(name)]
                for text in (given, in_shell)
            ]
            assert values[0] == values[1] != []
        command = f"(. /etc/default/pilothouse-{service}; pilothouse {service} --help)"
        assert "--" in machine.run("sh", "-c", command)


@pytest.mark.parametrize("service", [*CONTROL_PLANE, *NODE])
def test_a_killed_service_is_back_and_pods_stay(pair: Pair, service: str) -> None:
    machine, unit = pair.machine_of(service), f"pilothouse-{service}"
    containers = _containers(pair)
    before = machine.unit(unit, "MainPID")
    machine.run("systemctl", "kill", "-s", "KILL", unit)
    machine.eventually(
        "it runs again",
        lambda: (
            machine.unit(unit, "ActiveState") == "active"
            and machine.unit(unit, "MainPID") not in (before, "0")
        ),
    )
    assert int(machine.unit(unit, "NRestarts")) >= 1
    pair.node.eventually("the example is 2/2", pair.example_is_ready)
    assert _containers(pair) == containers


def test_a_service_that_hangs_is_started_again(pair: Pair) -> None:
    machine, unit = pair.server, "pilothouse-scheduler"
    drop_in = f"/run/systemd/system/{unit}.service.d"
    machine.run("mkdir", "-p", drop_in)
    machine.run("sh", "-c", f"printf '[Service]\\nWatchdogSec=1\\n' >{drop_in}/soon.conf")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", unit)
    before = machine.unit(unit, "MainPID")
    began = int(machine.unit(unit, "ExecMainStartTimestampMonotonic"))
    machine.eventually(
        "it is fed for longer than the watchdog's patience",
        lambda: int(machine.unit(unit, "WatchdogTimestampMonotonic")) > began + 3_000_000,
    )
    assert machine.unit(unit, "MainPID") == before
    machine.run("systemctl", "kill", "-s", "STOP", unit)
    machine.eventually(
        "it runs again",
        lambda: (
            machine.unit(unit, "ActiveState") == "active"
            and machine.unit(unit, "MainPID") not in (before, "0")
        ),
    )
    assert "watchdog" in machine.run("journalctl", "-q", "--no-pager", "-u", unit).lower()


def test_all_stops_cleanly_and_comes_back_with_the_boot_target(pair: Pair) -> None:
    containers = _containers(pair)
    for machine, services in ((pair.node, NODE), (pair.server, CONTROL_PLANE)):
        units = [f"pilothouse-{service}" for service in services]
        machine.run("systemctl", "stop", *units)
        assert {machine.unit(unit, "Result") for unit in units} == {"success"}
        assert {machine.unit(unit, "ActiveState") for unit in units} == {"inactive"}
    assert _containers(pair) == containers, "pods outlive their kubelet"
    for machine in (pair.server, pair.node):
        machine.run("systemctl", "start", "multi-user.target")
    pair.node.eventually("the node is Ready", pair.node_is_ready)
    pair.node.eventually("the example is 2/2", pair.example_is_ready)
    assert _containers(pair) == containers


def test_both_commands_may_be_said_again(pair: Pair) -> None:
    before = pair.server.run("cat", "/etc/pilothouse/pki/ca.crt")
    pair.server.run(PILOTHOUSE, "server", "--address", SERVER)
    pair.node.run(PILOTHOUSE, "join", "--from-dir", "/tmp/worker-1.d", "--server", SERVER)
    assert pair.server.run("cat", "/etc/pilothouse/pki/ca.crt") == before
    pair.node.eventually("the node is Ready", pair.node_is_ready)


def test_server_and_node_are_one_machine_without_systemd(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    archive = build(IMAGES)
    machine = Machine("alone", tmp_path_factory.mktemp("alone"))
    try:
        machine.boot()
        machine.run("ip", "link", "add", "ens3", "type", "bridge")
        machine.run("ip", "address", "add", f"{SERVER}/24", "dev", "ens3")
        machine.run("ip", "link", "set", "ens3", "up")
        machine.run("systemctl", "start", "containerd")
        machine.run("ctr", "--namespace", "k8s.io", "images", "import", archive)
        machine.run("unshare", "--mount", "sh", "-c", BY_HAND, "sh", BIN, SERVER, EXAMPLE)
        for directory in ("/var/lib/pilothouse", "/run/pilothouse"):
            assert int(machine.run("stat", "-c", "%a", directory)) in (700, 711)
    finally:
        machine.off()


def _containers(pair: Pair) -> set[str]:
    tasks = pair.node.run("ctr", "--namespace", "k8s.io", "tasks", "list", "-q")
    return set(tasks.split())
