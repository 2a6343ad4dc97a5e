"""KubeletConfiguration: defaults, strictness, drop-in files, flags above, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.kubelet.config import Config, parse
from pilothouse.services.kubelet.configuration import checks, documents
from pilothouse.services.kubelet.configuration.fields import KubeletConfiguration
from pilothouse.services.machinery import durations

HEAD = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
ARGV = ["--node-name=n1", "--node-ip=10.0.0.1", "--server=unix:///x"]


def configured(tmp_path: Path, text: str, *flags: str) -> Config:
    path = tmp_path / "kubelet.yaml"
    path.write_text(HEAD + text)
    return parse([*ARGV, f"--config={path}", *flags])


def test_defaults_as_kubernetes_documents_them():
    body = documents.encode(KubeletConfiguration())
    expected = {
        "port": 10250, "readOnlyPort": 0, "healthzPort": 10248, "healthzBindAddress": "127.0.0.1",
        "syncFrequency": "1m0s", "fileCheckFrequency": "20s", "httpCheckFrequency": "20s",
        "registryPullQPS": 5, "registryBurst": 10, "eventRecordQPS": 50, "eventBurst": 100,
        "kubeAPIQPS": 50, "kubeAPIBurst": 100, "streamingConnectionIdleTimeout": "4h0m0s",
        "nodeStatusUpdateFrequency": "10s", "nodeStatusReportFrequency": "5m0s",
        "nodeLeaseDurationSeconds": 40, "imageMinimumGCAge": "2m0s",
        "imageGCHighThresholdPercent": 85, "imageGCLowThresholdPercent": 80,
        "cgroupsPerQOS": True, "cgroupDriver": "cgroupfs", "maxPods": 110, "podPidsLimit": -1,
        "cpuCFSQuota": True, "cpuCFSQuotaPeriod": "100ms", "maxOpenFiles": 1000000,
        "serializeImagePulls": True, "evictionPressureTransitionPeriod": "5m0s",
        "iptablesMasqueradeBit": 14, "failSwapOn": True, "containerLogMaxSize": "10Mi",
        "containerLogMaxFiles": 5, "enforceNodeAllocatable": ("pods",), "oomScoreAdj": -999,
        "failCgroupV1": True, "userNamespaces": {"idsPerPod": 65536},
    }  # fmt: skip
    assert {name: body[name] for name in expected} == expected
    assert body["evictionHard"]["memory.available"] == "100Mi"
    assert body["authentication"]["webhook"] == {"enabled": True, "cacheTTL": "2m0s"}
    assert checks.problems(KubeletConfiguration()) == []
    assert documents.decode(body, {}) == KubeletConfiguration()


def test_file_and_flags_above_it(tmp_path: Path):
    config = configured(
        tmp_path, "maxPods: 20\nclusterDNS: [10.96.0.10]\nevictionHard: {memory.available: 1Gi}\n",
        "--max-pods=30", "--eviction-soft=nodefs.available<20%",
        "--eviction-soft-grace-period=nodefs.available=1m30s", "--fail-swap-on=false",
    )  # fmt: skip
    assert (config.pods_max, config.kubelet.max_pods) == (30, 30)
    assert config.cluster_dns == ("10.96.0.10",)
    assert config.kubelet.eviction_hard == {"memory.available": "1Gi"}
    assert config.kubelet.eviction_soft == {"nodefs.available": "20%"}
    assert not config.kubelet.fail_swap_on


def test_zeros_of_kubeadm_mean_the_default(tmp_path: Path):
    text = (
        "cpuManagerReconcilePeriod: 0s\nevictionPressureTransitionPeriod: 0s\n"
        "syncFrequency: 0s\nimageMaximumGCAge: 0s\ncontainerRuntimeEndpoint: ''\n"
        "authorization: {webhook: {cacheAuthorizedTTL: 0s}}\nregistryPullQPS: 0\n"
        "logging: {flushFrequency: 0, verbosity: 0}\nmemorySwap: {}\n"
    )
    kubelet = configured(tmp_path, text).kubelet
    assert (kubelet.sync_frequency, kubelet.eviction_pressure_transition_period) == (60, 300)
    assert kubelet.authorization.webhook.cache_authorized_ttl == 300
    assert kubelet.container_runtime_endpoint.startswith("unix:")
    assert kubelet.registry_pull_qps == 0


def test_defaults_that_hang_on_others():
    said = {"nodeStatusUpdateFrequency": "4s", "maxParallelImagePulls": 3}
    decoded = documents.decode(said, {})
    assert decoded.node_status_report_frequency == 4
    assert not decoded.serialize_image_pulls
    merged = documents.decode(
        {"mergeDefaultEvictionSettings": True, "evictionHard": {"memory.available": "1Gi"}}, {}
    )
    assert merged.eviction_hard["memory.available"] == "1Gi"
    assert merged.eviction_hard["nodefs.available"] == "10%"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("maxPod: 3", 'strict decoding error: unknown field "maxPod"'),
        ("authentication: {webhok: {}}", 'unknown field "authentication.webhok"'),
        ("reservedMemory: [{numaNode: 0, limit: {}}]", 'unknown field "reservedMemory[0].limit"'),
        ("maxPods: many", "Expected `int`"),
        ("syncFrequency: 5", "a duration"),
        ("syncFrequency: 5 minutes", "invalid duration"),
        ("imageGCHighThresholdPercent: 101", "must be between 0 and 100, inclusive"),
        ("imageGCLowThresholdPercent: 90", "must be less than imageGCHighThresholdPercent"),
        ("topologyManagerPolicy: restricted", '"restricted" is not supported here'),
        ("evictionHard: {disk: 1Gi}", "unsupported eviction signal disk"),
        ("evictionHard: {memory.available: 1Gx}", "invalid eviction threshold"),
        ("evictionSoft: {memory.available: 1Gi}", "grace period must be specified"),
        ("kubeReserved: {gpu: '1'}", '"gpu" resource cannot be reserved'),
        ("enforceNodeAllocatable: [none, pods]", "may not contain additional enforcements"),
        ("enforceNodeAllocatable: [kube-reserved]", "a cgroup must be named"),
        ("shutdownGracePeriodCriticalPods: 5s", "must be <= shutdownGracePeriod"),
        ("port: -1", "must be between 1 and 65535"),
        ("- a", "failed to load Kubelet config file"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, told: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        configured(tmp_path, text)
    assert told in capsys.readouterr().err


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match='no kind "KubeProxyConfiguration"'):
        documents.parse(
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration", "f"
        )


def test_drop_in_files_in_order(tmp_path: Path):
    folder = tmp_path / "kubelet.conf.d"
    folder.mkdir()
    (folder / "20-b.conf").write_text(HEAD + "maxPods: 7\nclusterDNS: [b]\n")
    (folder / "10-a.conf").write_text(
        HEAD + "maxPods: 6\nport: 1\nevictionHard: {pid.available: '5'}\n"
    )
    (folder / "30-c.yaml").write_text("not read")
    kubelet = configured(
        tmp_path, "clusterDNS: [a, c]\nevictionHard: {memory.available: 1Gi}\n",
        f"--config-dir={folder}",
    ).kubelet  # fmt: skip
    assert (kubelet.max_pods, kubelet.port, kubelet.cluster_dns) == (7, 1, ("b",))
    assert kubelet.eviction_hard == {"memory.available": "1Gi", "pid.available": "5"}


def test_flags_of_every_kind():
    kubelet = parse([
        *ARGV, "--kube-reserved=cpu=100m,memory=1Gi", "--anonymous-auth", "--pod-max-pids=64",
        "--feature-gates=A=true,B=false", "--register-with-taints=a=b:NoSchedule,c:NoExecute",
        "--reserved-memory=0:memory=1Gi", "--enforce-node-allocatable=",
        "--authorization-mode=AlwaysAllow",
    ]).kubelet  # fmt: skip
    assert kubelet.kube_reserved == {"cpu": "100m", "memory": "1Gi"}
    assert kubelet.authentication.anonymous.enabled
    assert kubelet.authentication.webhook.enabled
    assert kubelet.pod_pids_limit == 64
    assert kubelet.feature_gates == {"A": True, "B": False}
    assert [(t.key, t.value, t.effect) for t in kubelet.register_with_taints] == [
        ("a", "b", "NoSchedule"), ("c", "", "NoExecute"),
    ]  # fmt: skip
    assert kubelet.reserved_memory[0].limits == {"memory": "1Gi"}
    assert kubelet.enforce_node_allocatable == ()


@given(st.integers(0, 10**15))
def test_durations_are_read_as_they_are_written(nanoseconds: int):
    text = durations.render(nanoseconds / 1e9)
    assert durations.parse(text) == pytest.approx(nanoseconds / 1e9, abs=1e-6)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.1, "100ms"), (1.5, "1.5s"), (90, "1m30s"), (14400, "4h0m0s"), (-20, "-20s")],
)
def test_durations_as_go_writes_them(seconds: float, text: str):
    assert durations.render(seconds) == text
