"""Pods that mean harm, and pods that a node must refuse: it stays Ready, and says why."""

import subprocess

import pytest
from kit.containerd import pod_of
from kit.whole_node import BIN, WholeNode

ATTACK = """
import http.client, ssl, sys
pki = sys.argv[1]
context = ssl.create_default_context(cafile=f"{pki}/ca.crt")
context.load_cert_chain(f"{pki}/admin.crt", f"{pki}/admin.key")
path = "/api/v1/namespaces/default/pods/victim/exec?stdout=1&command=echo"
command = "&command=" + "x" * (10 << 20)
connection = http.client.HTTPSConnection("10.90.0.1", 6443, context=context, timeout=30)
upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
           "Sec-WebSocket-Key": "eHh4eHh4eHh4eHh4eHh4eA==",
           "Sec-WebSocket-Protocol": "v5.channel.k8s.io"}
try:
    connection.request("GET", path + command, headers=upgrade)
    print(connection.getresponse().status)
except OSError:
    print(400)
"""
FLOOD = """
import socket, sys
for _ in range(200):
    try:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5) as opened:
            opened.sendall(b"x" * 1024)
    except OSError:
        pass
"""
PORT = 18_099


def _pod(name: str, **spec: object) -> dict:
    body = pod_of("", name=name, terminationGracePeriodSeconds=0, **spec)
    body["metadata"] = {"name": name, "namespace": "default"}
    return body


def _status(node: WholeNode, name: str) -> dict:
    return node.get("pod", name).get("status", {})


def _events(node: WholeNode, name: str) -> str:
    return node.kubectl("get", "events", "--field-selector", f"involvedObject.name={name}").stdout


def _is_ready(node: WholeNode) -> bool:
    conditions = node.get("node", "node-1")["status"]["conditions"]
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


@pytest.fixture(scope="module")
def victim(node: WholeNode):
    node.create(_pod("victim"))
    node.wait(lambda: node.is_ready("victim"))
    yield "victim"
    node.kubectl("delete", "pod", "victim", "--wait=false")


@pytest.mark.parametrize(
    ("name", "target"),
    [("to-host", "/etc"), ("upwards", "../../../../.."), ("to-root", "/proc/self/root")],
)
def test_a_link_in_a_subpath_leads_nowhere(node: WholeNode, name: str, target: str) -> None:
    pod = _pod(name, volumes=[{"name": "v", "emptyDir": {}}])
    main = pod["spec"]["containers"][0]
    first = {**main, "name": "first", "command": ["ln", "-s", target, "/v/evil"],
             "volumeMounts": [{"name": "v", "mountPath": "/v"}]}  # fmt: skip
    main["volumeMounts"] = [{"name": "v", "mountPath": "/seen", "subPath": "evil/deep"}]
    pod["spec"]["initContainers"] = [first]
    node.create(pod)

    def waiting() -> dict:
        (status,) = _status(node, name).get("containerStatuses") or [{}]
        return status.get("state", {}).get("waiting") or {}

    node.wait(lambda: waiting().get("reason") == "CreateContainerConfigError")
    assert "leads out of its volume" in waiting()["message"]
    node.kubectl("delete", "pod", name, "--wait=false")


@pytest.mark.parametrize("below", ["../x", "a/../../x"])
def test_paths_that_go_up_are_refused(node: WholeNode, below: str) -> None:
    pod = _pod("upward", volumes=[{"name": "v", "emptyDir": {}}])
    mounts = [{"name": "v", "mountPath": "/v", "subPath": below}]
    pod["spec"]["containers"][0]["volumeMounts"] = mounts
    with pytest.raises(AssertionError, match=r"must not contain '\.\.'"):
        node.create(pod)


def test_a_flood_of_lines_drowns_nobody(node: WholeNode, victim: str) -> None:
    pod = _pod("flood", restartPolicy="Never")
    script = "yes 'nothing but noise' | head -c 30000000; echo the end"
    pod["spec"]["containers"][0]["command"] = ["sh", "-c", script]
    node.create(pod)
    assert node.kubectl("exec", victim, "--", "echo", "alive").stdout == "alive\n"
    node.wait(lambda: _status(node, "flood").get("phase") == "Succeeded")
    # Of a flood that ends suddenly containerd 1.6 may lose the last lines.
    assert "nothing but" in node.kubectl("logs", "flood", "--tail=1").stdout
    assert _is_ready(node)
    node.kubectl("delete", "pod", "flood", "--wait=false")


def test_ten_megabytes_of_arguments_are_refused(node: WholeNode, victim: str) -> None:
    python = BIN / "python"
    command = node.enter(str(python), "-c", ATTACK, f"{node.root}/pki")
    for _ in range(3):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert 400 <= int(done.stdout) < 500
    assert node.kubectl("exec", victim, "--", "echo", "alive").stdout == "alive\n"
    assert _is_ready(node)


def test_a_flood_of_forwarded_connections_drowns_nobody(node: WholeNode, victim: str) -> None:
    kubectl = [str(BIN / "kubectl"), "--kubeconfig", f"{node.root}/admin.conf"]
    forwarding = subprocess.Popen(
        node.enter(*kubectl, "port-forward", victim, f"{PORT}:9"),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        flood = node.enter(str(BIN / "python"), "-c", FLOOD, str(PORT))
        floods = [subprocess.Popen(flood) for _ in range(3)]
        assert [each.wait(60) for each in floods] == [0, 0, 0]
    finally:
        forwarding.terminate()
        forwarding.wait()
    assert node.kubectl("exec", victim, "--", "echo", "alive").stdout == "alive\n"
    assert _is_ready(node)


@pytest.mark.parametrize(
    ("name", "spec", "reason", "words"),
    [
        (
            "unsafe",
            {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "8192"}]}},
            "SysctlForbidden",
            'forbidden sysctl: "kernel.msgmax" not allowlisted',
        ),
        (
            "strict",
            {"securityContext": {"supplementalGroupsPolicy": "Strict"}},
            "SupplementalGroupsPolicyNotSupported",
            "SupplementalGroupsPolicy=Strict is not supported in this node",
        ),
    ],
)
def test_what_a_node_does_not_allow_has_failed(
    node: WholeNode, name: str, spec: dict, reason: str, words: str
) -> None:
    node.create(_pod(name, **spec))
    node.wait(lambda: _status(node, name).get("phase") == "Failed")
    status = _status(node, name)
    assert status["reason"] == reason
    assert words in status["message"]
    node.kubectl("delete", "pod", name, "--wait=false")


def test_what_a_runtime_can_not_do_is_told(node: WholeNode) -> None:
    handler = {
        "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass",
        "metadata": {"name": "absent"}, "handler": "no-such-handler",
    }  # fmt: skip
    node.create(handler)
    node.create(_pod("classy", runtimeClassName="absent"))
    node.create(_pod("mapped", hostUsers=False))
    node.wait(lambda: "no-such-handler" in _events(node, "classy"))
    node.wait(lambda: "does not support user namespaces" in _events(node, "mapped"))
    assert "FailedCreatePodSandBox" in _events(node, "mapped")
    assert _status(node, "classy")["phase"] == "Pending"
    node.kubectl("delete", "pod", "classy", "mapped", "--wait=false")


def test_safe_sysctls_and_profiles_of_files_count(node: WholeNode) -> None:
    profile = node.root / "kubelet" / "seccomp" / "no-mkdir.json"
    profile.parent.mkdir(parents=True, exist_ok=True)
    profile.write_text(
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": '
        '[{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}'
    )
    security = {
        "sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}],
        "seccompProfile": {"type": "Localhost", "localhostProfile": "no-mkdir.json"},
    }
    node.create(_pod("profiled", securityContext=security))
    node.wait(lambda: node.is_ready("profiled"))
    script = "cat /proc/sys/kernel/shm_rmid_forced; mkdir /tmp/x 2>/dev/null || echo refused"
    assert node.kubectl("exec", "profiled", "--", "sh", "-c", script).stdout == "1\nrefused\n"
    node.kubectl("delete", "pod", "profiled", "--wait=false")


def test_aliases_are_in_the_hosts_file_of_the_host_network_too(node: WholeNode) -> None:
    aliases = [{"ip": "1.2.3.4", "hostnames": ["one", "uno"]}]
    node.create(_pod("aliased", hostNetwork=True, hostAliases=aliases))
    node.wait(lambda: node.is_ready("aliased"))
    text = node.kubectl("exec", "aliased", "--", "cat", "/etc/hosts").stdout
    assert text.startswith("# Kubernetes-managed hosts file (host network).\n")
    assert text.endswith("# Entries added by HostAliases.\n1.2.3.4\tone\tuno\n")
    node.kubectl("delete", "pod", "aliased", "--wait=false")


def test_secrets_are_in_memory_and_empty_directories_may_be(node: WholeNode, victim: str) -> None:
    pod = _pod("memory", volumes=[
        {"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
    ])  # fmt: skip
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "m", "mountPath": "/m"}]
    node.create(pod)
    node.wait(lambda: node.is_ready("memory"))
    script = "df -k /m | tail -1; dd if=/dev/zero of=/m/x bs=1M count=9 2>&1 | tail -1"
    seen = node.kubectl("exec", "memory", "--", "sh", "-c", script, check=False).stdout
    assert "8192" in seen
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    mounted = node.kubectl("exec", victim, "--", "grep", account, "/proc/mounts").stdout
    assert mounted.split()[2] == "tmpfs"
    assert " ro" in mounted
    assert "ro," in mounted.split()[3]
    node.kubectl("delete", "pod", "memory", "--wait=false")
