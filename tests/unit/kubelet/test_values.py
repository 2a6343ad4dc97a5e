"""Smaller rules: environment, files of volumes, DNS, QoS, probes, logs, frames."""

import json
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.services.kubelet.adapters.logs import reading
from pilothouse.services.kubelet.adapters.volumes import atomic_files
from pilothouse.services.kubelet.config import parse
from pilothouse.services.kubelet.logs import Options, parse_options
from pilothouse.services.kubelet.pod import configs, environment
from pilothouse.services.kubelet.pod.configs import Dns
from pilothouse.services.kubelet.pod.downward import Surroundings
from pilothouse.services.kubelet.pod.environment import Sources
from pilothouse.services.kubelet.pod.probes import Outcome, Tally, port_of, step, url_of
from pilothouse.services.kubelet.pod.views import Container, Pod, Probe
from pilothouse.services.kubelet.resources import qos
from pilothouse.services.kubelet.volumes import payload
from pilothouse.services.kubelet.volumes.payload import File, Found
from pilothouse.services.kubelet.volumes.sources import Volume, projections
from pilothouse.services.machinery.errors import BadRequest, NotFound
from pilothouse.services.machinery.kinds.services import Service
from pilothouse.services.runtime.spdy import frames
from pilothouse.services.runtime.spdy.frames import Control, Data, Decoder, Encoder

AROUND = Surroundings("10.0.0.1", ("10.1.0.2",), {"cpu": "4", "memory": "1Gi"})


def pod_of(container: dict | None = None, **spec: object) -> Pod:
    body = {
        "metadata": {"name": "web", "namespace": "ns", "uid": "u", "labels": {"a": 'b"c'}},
        "spec": {"containers": [{"name": "c", "image": "x", **(container or {})}], **spec},
    }
    return msgspec.convert(body, Pod)


def test_references_in_words():
    values = {"A": "1", "B": "$(A)"}
    assert environment.expand("$(A) $(B) $$(A) $(C) $", values) == "1 $(A) $(A) $(C) $"


def test_environment_in_order_with_sources():
    pod = pod_of(
        {
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}],
            "env": [
                {"name": "X", "value": "$(P_k)-$(WEB_SERVICE_HOST)"},
                {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}},
                {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "O", "valueFrom": {
                    "secretKeyRef": {"name": "none", "key": "k", "optional": True}}},
            ],
        }
    )  # fmt: skip
    service = msgspec.convert(
        {"metadata": {"name": "web", "namespace": "ns"},
         "spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 80, "name": "http"}]}},
        Service,
    )  # fmt: skip
    sources = Sources({"m": {"k": b"v", "not a name": b"x"}}, {"s": {"k": b"hidden"}})
    built = environment.build(pod, pod.spec.containers[0], sources, [service], AROUND)
    assert built["X"] == "v-10.96.0.9"
    assert (built["F"], built["C"], built["S"]) == ('b"c', "4", "hidden")
    assert "O" not in built
    assert built["WEB_PORT_80_TCP"] == "tcp://10.96.0.9:80"
    with pytest.raises(NotFound, match='configmap "m" not found'):
        environment.build(pod, pod.spec.containers[0], Sources(), [], AROUND)


def test_files_of_a_projected_volume():
    body = {
        "name": "v",
        "projected": {
            "defaultMode": 0o600,
            "sources": [
                {"configMap": {"name": "m", "items": [{"key": "k", "path": "d/k", "mode": 292}]}},
                {"secret": {"name": "s"}},
                {"downwardAPI": {"items": [
                    {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
                {"serviceAccountToken": {"path": "token"}},
            ],
        },
    }  # fmt: skip
    parts, mode = projections(msgspec.convert(body, Volume))
    token = parts[3].service_account_token
    found = Found({"m": {"k": b"1"}}, {"s": {"p": b"2"}}, {token: "t"})
    files = payload.build(pod_of(), parts, mode, found, AROUND)
    assert files == {
        "d/k": File(b"1", 0o444),
        "p": File(b"2", 0o600),
        "labels": File(b'a="b\\"c"', 0o600),
        "token": File(b"t", 0o600),
    }
    with pytest.raises(NotFound):
        payload.build(pod_of(), parts, mode, Found({}, {}, {token: "t"}), AROUND)


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", "..data/x", ""])
def test_files_stay_inside_their_volume(path):
    body = {"name": "v", "configMap": {"name": "m", "items": [{"key": "k", "path": path}]}}
    parts, mode = projections(msgspec.convert(body, Volume))
    with pytest.raises(BadRequest):
        payload.build(pod_of(), parts, mode, Found({"m": {"k": b""}}, {}, {}), AROUND)


def test_a_volume_changes_at_once(tmp_path: Path):
    first = {"a": File(b"1", 0o644), "d/b": File(b"2", 0o400)}
    assert atomic_files.write(tmp_path, first)
    assert not atomic_files.write(tmp_path, first)
    before = (tmp_path / "..data").resolve()
    assert (tmp_path / "a").read_bytes() == b"1"
    assert (tmp_path / "d" / "b").stat().st_mode & 0o777 == 0o400
    assert atomic_files.write(tmp_path, {"a": File(b"3", 0o644)})
    assert (tmp_path / "a").read_bytes() == b"3"
    assert not (tmp_path / "d").is_symlink()
    assert not before.exists()


def test_dns_of_a_pod():
    cluster, host = Dns(("10.96.0.10",), ("cluster.local",)), Dns(("1.1.1.1",), ("lan",), ("x",))
    first = configs.dns_of(pod_of(), cluster, host)
    assert first.servers == ("10.96.0.10",)
    assert first.searches == ("ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "lan")
    assert first.options == ("ndots:5",)
    assert configs.dns_of(pod_of(hostNetwork=True), cluster, host) == host
    assert configs.dns_of(pod_of(dnsPolicy="Default"), cluster, host) == host
    assert configs.dns_of(pod_of(), Dns((), ("cluster.local",)), host) == host
    own = {"nameservers": ["9.9.9.9"], "options": [{"name": "ndots", "value": "1"}]}
    made = configs.dns_of(pod_of(dnsPolicy="None", dnsConfig=own), cluster, host)
    assert made == Dns(("9.9.9.9",), (), ("ndots:1",))
    text = "# x\nnameserver 1.1.1.1\nsearch lan\noptions x\n"
    assert configs.parse_resolv_conf(text) == host


@pytest.mark.parametrize(
    ("resources", "quality", "shares", "quota", "score"),
    [
        ({}, "BestEffort", 2, 0, 1000),
        ({"requests": {"cpu": "500m"}}, "Burstable", 512, 0, 999),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed", 1024, 100000, -997),
        ({"requests": {"memory": "1Gi"}, "limits": {"cpu": "20m"}}, "Burstable", 20, 2000, 500),
    ],
)
def test_quality_of_service(resources, quality, shares, quota, score):
    pod = pod_of({"resources": resources})
    assert qos.qos_class(pod) == quality
    limits = qos.limits_of(pod, pod.spec.containers[0], 2 << 30)
    assert (limits.cpu_shares, limits.cpu_quota, limits.oom_score_adj) == (shares, quota, score)
    level = "" if quality == "Guaranteed" else f"/{quality.lower()}"
    assert qos.cgroup_parent("/root/", pod) == f"/root{level}/podu"


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 4), st.integers(1, 4))
def test_a_verdict_needs_its_threshold_in_a_row(results, needed, allowed):
    probe = Probe(success_threshold=needed, failure_threshold=allowed)
    tally, verdict = Tally(), None
    for index, passed in enumerate(results):
        tally = step(tally, probe, Outcome(passed))
        threshold = needed if passed else allowed
        last = results[max(0, index + 1 - threshold) : index + 1]
        if len(last) == threshold and all(item == passed for item in last):
            verdict = passed
        assert tally.verdict == verdict


def test_probe_targets():
    container = msgspec.convert(
        {"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}, Container
    )
    probe = msgspec.convert({"httpGet": {"port": "http", "path": "ok"}}, Probe)
    assert url_of(container, probe.http_get, "fd00::1") == "http://[fd00::1]:8080/ok"
    with pytest.raises(BadRequest):
        port_of(container, "absent")


LINES = st.lists(st.tuples(st.sampled_from(["F", "P"]), st.text("abc ", max_size=8)), max_size=40)


@given(LINES, st.integers(0, 10))
def test_the_tail_of_a_log(tmp_path_factory, lines, count):
    path = tmp_path_factory.mktemp("log") / "0.log"
    stamp = "2026-11-21T10:00:00.123456789Z"
    path.write_text("".join(f"{stamp} stdout {tag} {text}\n" for tag, text in lines))
    with path.open("rb") as file:
        offset = reading._tail_offset(file, count)
    kept = path.read_text()[offset:].splitlines()
    full = [line for line in kept if line.split(" ", 3)[2] == "F"]
    total = sum(tag == "F" for tag, _ in lines)
    assert len(full) == min(count, total)
    if total > count and kept:
        before = path.read_text()[:offset].splitlines()[-1]
        assert before.split(" ", 3)[2] == "F"


async def test_parts_of_a_line_are_joined(tmp_path: Path):
    path = tmp_path / "0.log"
    path.write_text(
        "2026-11-21T10:00:00.000000001Z stdout P one \n"
        "2026-11-21T10:00:01.000000001Z stderr F two\n"
        "2026-11-21T10:00:02.000000001Z stdout F three\n"
    )
    assert await reading.read_all(path, Options()) == b"one two\nthree\n"
    stamped = await reading.read_all(path, Options(timestamps=True, tail_lines=2))
    assert stamped.splitlines()[0] == b"2026-11-21T10:00:00.000000001Z one two"
    assert await reading.read_all(path, Options(limit_bytes=5)) == b"one t"
    later = parse_options({"sinceTime": "2026-11-21T10:00:02Z"}, 0.0)
    assert await reading.read_all(path, later) == b"three\n"
    with pytest.raises(BadRequest):
        parse_options({"tailLines": "x"}, 0.0)


HEADERS = st.dictionaries(
    st.text("abcdef-", min_size=1, max_size=9), st.text(max_size=20), max_size=5
)


@given(st.lists(HEADERS, max_size=5), st.binary(max_size=200), st.integers(1, 50))
def test_frames_survive_any_cut(blocks, content, size):
    encoder, decoder = Encoder(), Decoder()
    stream = b"".join(encoder.syn_stream(n * 2 + 1, block) for n, block in enumerate(blocks))
    stream += frames.data(Data(1, content, last=True)) + frames.control(frames.PING, b"\0\0\0\1")
    found = []
    for start in range(0, len(stream), size):
        found += decoder.feed(stream[start : start + size])
    assert [frame.headers for frame in found[:-2]] == blocks
    assert found[-2] == Data(1, content, last=True)
    assert found[-1] == Control(frames.PING, 0, b"\0\0\0\1")


def test_the_dictionary_is_the_one_both_sides_name():
    made = Encoder().syn_stream(1, {"a": "b"})
    assert int.from_bytes(made[20:24], "big") == zlib.adler32(frames.DICTIONARY) == 0xE3C6A7C2
    with pytest.raises(frames.FrameError):
        list(Decoder().feed(b"\x80\x02\x00\x01\x00\x00\x00\x00"))


def test_flags():
    argv = ["--node-name=n1", "--node-ip=10.0.0.1", "--server=unix:///x"]
    config = parse([*argv, "--cluster-dns=10.96.0.10,"])
    assert config.socket == Path("/run/pilothouse/kubelet-n1.sock")
    assert (config.cluster_dns, config.serving) == (("10.96.0.10",), None)
    with pytest.raises(SystemExit):
        parse([*argv[:2], "--server=1.2.3.4:5"])


def test_hosts_file():
    pod = pod_of(subdomain="sub", hostAliases=[{"ip": "1.1.1.1", "hostnames": ["one", "uno"]}])
    text = configs.hosts_file(pod, ["10.1.0.2"], "cluster.local")
    assert "10.1.0.2\tweb.sub.ns.svc.cluster.local\tweb\n" in text
    assert text.endswith("1.1.1.1\tone\tuno\n")
    assert json.dumps(text)
