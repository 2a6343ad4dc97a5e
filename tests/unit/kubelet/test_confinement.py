"""What a node allows pods, and which ids they get."""

import msgspec
import pytest

from pilothouse.services.kubelet.adapters.cri import contexts
from pilothouse.services.kubelet.adapters.volumes.id_ranges import NodeIdRanges
from pilothouse.services.kubelet.pod.configs import (
    ContainerConfig,
    Dns,
    Mount,
    SandboxConfig,
    kernel_hostname_of,
)
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.ports import HandlerState, RuntimeState
from pilothouse.services.kubelet.security import ranges, rules
from pilothouse.services.kubelet.security.confinement import Confinement
from pilothouse.services.kubelet.security.ranges import IdRange
from pilothouse.services.kubelet.security.rules import Rules
from pilothouse.services.machinery.errors import BadRequest


def pod_of(container: dict | None = None, **spec: object) -> Pod:
    body = {
        "metadata": {"name": "web", "namespace": "ns", "uid": "u1"},
        "spec": {"containers": [{"name": "main", "image": "i", **(container or {})}], **spec},
    }
    return msgspec.convert(body, Pod)


def _sysctl(name: str, **spec: object) -> Pod:
    return pod_of(securityContext={"sysctls": [{"name": name, "value": "1"}]}, **spec)


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        (_sysctl("kernel.shm_rmid_forced"), ""),
        (_sysctl("kernel/shm_rmid_forced"), ""),
        (_sysctl("kernel.msgmax"), 'forbidden sysctl: "kernel.msgmax" not allowlisted'),
        (_sysctl("net.ipv4.tcp_syncookies", hostNetwork=True), "not allowed with host net enabled"),
        (_sysctl("kernel.shm_rmid_forced", hostIPC=True), "not allowed with host ipc enabled"),
        (
            pod_of({"securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}}),
            "Cannot enforce AppArmor: AppArmor is not enabled on the host",
        ),
        (pod_of({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}), ""),
        (
            pod_of(securityContext={"supplementalGroupsPolicy": "Strict"}),
            "SupplementalGroupsPolicy=Strict is not supported in this node",
        ),
    ],
)
def test_what_is_rejected(pod: Pod, words: str) -> None:
    found = rules.judge(pod, Rules(), strict_groups=False)
    assert words in (found.message if found else "")
    assert bool(words) == (found is not None)


def test_what_a_node_allows_beyond() -> None:
    allowing = Rules(unsafe_sysctls=("kernel.msg*",), has_app_armor=True)
    assert rules.judge(_sysctl("kernel.msgmax"), allowing, strict_groups=True) is None
    assert rules.judge(_sysctl("kernel.sem"), allowing, strict_groups=True) is not None
    strict = pod_of(securityContext={"supplementalGroupsPolicy": "Strict"})
    assert rules.judge(strict, allowing, strict_groups=True) is None
    node = Rules(sysctls={"net.ipv4.tcp_rmem": "1 2 3", "kernel/shm_rmid_forced": "0"})
    told = rules.sysctls_of(_sysctl("kernel.shm_rmid_forced", hostNetwork=True), node)
    assert told == {"kernel.shm_rmid_forced": "1"}


def test_ranges_are_given_once_and_kept(tmp_path) -> None:
    given = NodeIdRanges(tmp_path, 2, 65536)
    assert given.of("a") == IdRange(65536)
    assert given.of("b") == IdRange(131072)
    assert given.of("c") is None
    assert NodeIdRanges(tmp_path, 2, 65536).of("b") == IdRange(131072)
    (tmp_path / "pods" / "a" / "userns").unlink()
    assert given.of("c") == IdRange(65536)
    assert ranges.decode("{}") is None


def test_user_namespaces_need_a_runtime_that_has_them(tmp_path) -> None:
    pod = pod_of(hostUsers=False)
    ids = NodeIdRanges(tmp_path, 2, 65536)
    with pytest.raises(BadRequest, match="runtime does not support user namespaces"):
        Confinement(ranges=ids).ids(pod, "")
    state = RuntimeState("r", "1", handlers=(HandlerState("", user_namespaces=True),))
    able = Confinement(state=lambda: state, ranges=ids)
    assert able.ids(pod, "") == IdRange(65536)
    assert able.ids(pod_of(), "") is None
    with pytest.raises(BadRequest, match="handler kata does not"):
        able.ids(pod, "kata")


def test_recursive_read_only_mounts() -> None:
    asked = [Mount("/a", "/b", True, "", "Enabled"), Mount("/c", "/d", True, "", "IfPossible")]
    with pytest.raises(BadRequest, match="recursive read-only"):
        Confinement().settle(asked, "")
    assert Confinement().settle(asked[1:], "")[0].recursive_read_only == "Disabled"
    state = RuntimeState("r", "1", handlers=(HandlerState("", recursive_read_only=True),))
    settled = Confinement(state=lambda: state).settle(asked, "")
    assert [item.recursive_read_only for item in settled] == ["Enabled", "Enabled"]


def _contexts(pod: Pod, **sandbox: object):
    made_in = SandboxConfig(pod, 0, "h", Dns(), "/l", "/c", **sandbox)
    limits = None
    config = ContainerConfig(pod.spec.containers[0], 0, "", 0.0, (), (), {}, (), limits)
    return contexts.sandbox(made_in), contexts.container(made_in, config)


def test_security_contexts_say_what_the_pod_says() -> None:
    own = {"seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"},
           "procMount": "Unmasked", "seLinuxOptions": {"level": "s0"}}  # fmt: skip
    pod = pod_of({"securityContext": own}, hostUsers=False)
    rules_ = Rules(seccomp_root="/k/seccomp")
    sandbox, container = _contexts(pod, ids=IdRange(65536), rules=rules_)
    assert container.seccomp.localhost_ref == "/k/seccomp/a.json"
    assert not container.masked_paths
    assert container.selinux_options.level == "s0"
    assert sandbox.namespace_options.userns_options.uids[0].host_id == 65536
    plain = _contexts(pod_of(), rules=Rules(seccomp_default=True))[1]
    assert plain.seccomp.profile_type == plain.seccomp.RuntimeDefault
    assert "/proc/kcore" in plain.masked_paths
    unconfined = _contexts(pod_of())[1]
    assert unconfined.seccomp.profile_type == unconfined.seccomp.Unconfined


def test_a_hostname_may_be_the_full_name_while_the_kernel_has_room() -> None:
    full = pod_of(setHostnameAsFQDN=True, subdomain="sub")
    assert kernel_hostname_of(full, "cluster.local") == "web.sub.ns.svc.cluster.local"
    with pytest.raises(BadRequest, match="64 characters is the max"):
        kernel_hostname_of(pod_of(setHostnameAsFQDN=True, subdomain="s" * 60), "cluster.local")
    assert kernel_hostname_of(pod_of(hostnameOverride="other"), "cluster.local") == "other"
