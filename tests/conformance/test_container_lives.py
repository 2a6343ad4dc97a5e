"""How containers start, are probed, restarted and ended; all their pods live side by side."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kit.cluster import Cluster
from kit.namespaces import furnished
from kit.official import Official
from kit.syllabus import line

RUNTIME, INIT = "common/node/runtime.go", "common/node/init_container.go"
PROBES, HOOKS = "common/node/container_probe.go", "common/node/lifecycle_hook.go"
KUBELET, HOSTS = "common/node/kubelet.go", "common/node/kubelet_etc_hosts.go"
NAMESPACE = "conformance-lives"
STEADY_SECONDS = 8.0
"""How long nothing may happen, from when all are up."""

FALLBACK = {"terminationMessagePolicy": "FallbackToLogsOnError"}
OFTEN = {"periodSeconds": 1, "timeoutSeconds": 1}


def _pod(name: str, script: str, restart: str = "Always", **container: Any) -> dict[str, Any]:
    inits = container.pop("inits", [])
    main = {"name": "main", "image": "busybox", "command": ["sh", "-c", script], **container}
    return {
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": restart,
            "terminationGracePeriodSeconds": 1,
            "containers": [main],
            "initContainers": [
                {"name": f"init-{n}", "image": "busybox", "command": ["sh", "-c", one]}
                for n, one in enumerate(inits)
            ],
        },
    }


def _probed(name: str, script: str, kind: str, probe: dict[str, Any]) -> dict[str, Any]:
    return _pod(name, script, **{f"{kind}Probe": {**OFTEN, "failureThreshold": 2, **probe}})


_SERVE = "mkdir /www; echo fine >/www/healthz; exec httpd -f -p 8080 -h /www"
_UNSERVE = _SERVE.replace("exec", "(sleep 3; rm /www/healthz) & exec")
_HEALTHZ = {"httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 1}
_CAT = {"exec": {"command": ["cat", "/tmp/health"]}, "initialDelaySeconds": 1}
_HEALTHY = "touch /tmp/health; exec sleep 3600"
_HEALTH_OF_GRPC = r"""
mkdir -p /tmp/www/grpc.health.v1.Health
# A frame of five bytes before the message: status, the first field, is SERVING.
printf '\000\000\000\000\002\010\001' >/tmp/www/grpc.health.v1.Health/Check
cat >/tmp/nginx.conf <<END
pid /tmp/pid;
events { }
http {
  access_log off; types { } default_type application/grpc;
  client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
  uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e;
  server {
    listen 5000 http2; root /tmp/www; error_page 405 =200 \$uri; add_trailer grpc-status 0 always;
  }
}
END
exec nginx -c /tmp/nginx.conf -g 'daemon off;'
"""


def _grpc(name: str, port: int) -> dict[str, Any]:
    """nginx answers as a health service of gRPC on port 5000."""
    probe = {"grpc": {"port": port}, "initialDelaySeconds": 1}
    pod = _probed(name, _HEALTH_OF_GRPC, "liveness", probe)
    pod["spec"]["containers"][0]["image"] = "nginx"
    return pod


PODS = [
    _grpc("grpc-fine", 5000),
    _grpc("grpc-fails", 5001),
    _pod("quiet", "exit 0", "Never", **FALLBACK),
    _pod("from-file", "echo -n OK >/dev/termination-log; exit 0", "Never", **FALLBACK),
    _pod("from-log", "echo -n DONE; exit 1", "Never", **FALLBACK),
    _pod("own-file", "echo -n DONE >/dev/own-log", "Never", terminationMessagePath="/dev/own-log",
         securityContext={"runAsUser": 1000}),
    _pod("always", "exit 0"),
    _pod("on-failure", "[ -s /dev/termination-log ] || exit 1", "OnFailure"),
    _pod("never", "exit 1", "Never"),
    _pod("fails", "exit 1"),
    _pod("in-order", "sleep 3600", inits=["date +%s.%N", "date +%s.%N"]),
    _pod("in-order-once", "exit 0", "Never", inits=["exit 0", "exit 0"]),
    _pod("init-fails-once", "sleep 3600", "Never", inits=["exit 1", "exit 0"]),
    _pod("init-fails", "sleep 3600", inits=["exit 1", "exit 0"]),
    _probed("http-fine", _SERVE, "liveness", _HEALTHZ),
    _probed("tcp-fine", _SERVE, "liveness", {"tcpSocket": {"port": 8080}}),
    _probed("exec-fine", _HEALTHY, "liveness", _CAT),
    _probed("http-fails", _UNSERVE, "liveness", _HEALTHZ),
    _probed("exec-fails", "touch /tmp/health; sleep 3; rm /tmp/health; exec sleep 3600",
            "liveness", _CAT),
    _probed("never-well", "exec sleep 3600", "liveness", _CAT | {"failureThreshold": 1}),
    _probed("late", _SERVE, "readiness", _HEALTHZ | {"initialDelaySeconds": 6}),
    _probed("never-ready", "exec sleep 3600", "readiness", {"exec": {"command": ["false"]}}),
    _pod("hosts", "exec sleep 3600"),
    _pod("hosts-mounted", "exec sleep 3600"),
    _pod("hosts-of-node", "exec sleep 3600"),
]  # fmt: skip
OWN = {"name": "v", "hostPath": {"path": "/etc/hosts", "type": "File"}}
PODS[-2]["spec"]["volumes"] = [OWN]
PODS[-2]["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/etc/hosts"}]
PODS[-1]["spec"]["hostNetwork"] = True


class Lives:
    """The pods, by name."""

    def __init__(self, cluster: Cluster, client: Official) -> None:
        self.cluster, self.client = cluster, client
        self.begun = time.monotonic()

    def status(self, name: str) -> Any:
        return self.client.core.read_namespaced_pod_status(name, NAMESPACE).status

    def main(self, name: str) -> Any:
        """The status of its container; None as long as there is none."""
        return (self.status(name).container_statuses or [None])[0]

    def is_ready(self, name: str) -> bool:
        found = self.status(name).conditions or []
        return any(one.type == "Ready" and one.status == "True" for one in found)

    def eventually(self, what: str, holds: Callable[[], Any]) -> Any:
        return self.cluster.eventually(what, holds, every=0.3)

    def ended(self, name: str) -> Any:
        """How its container has ended, for good."""
        return self.eventually(
            f"{name} has ended", lambda: (one := self.main(name)) and one.state.terminated
        )

    def restarted(self, name: str, times: int = 1) -> None:
        self.eventually(
            f"{name} is restarted", lambda: (one := self.main(name)) and one.restart_count >= times
        )

    def steady(self, name: str) -> None:
        """It runs, and nothing has happened to it for a while."""
        self.eventually(f"{name} runs", lambda: self.status(name).phase == "Running")
        time.sleep(max(self.begun + STEADY_SECONDS - time.monotonic(), 0.0))
        assert self.main(name).restart_count == 0


@pytest.fixture(scope="module")
def lives(cluster: Cluster, client: Official) -> Iterator[Lives]:
    """All of them, started at once."""
    with furnished(cluster, client, NAMESPACE):
        for pod in PODS:
            client.core.create_namespaced_pod(NAMESPACE, pod)
        yield Lives(cluster, client)


@line(RUNTIME, "termination message empty on success")
def test_success_has_no_message(lives: Lives) -> None:
    assert lives.ended("quiet").message in (None, "")


@line(RUNTIME, "termination message from file on success")
def test_the_message_is_in_the_file(lives: Lives) -> None:
    assert lives.ended("from-file").message == "OK"


@line(RUNTIME, "termination message from log on error")
def test_the_message_of_a_failure_is_the_end_of_the_log(lives: Lives) -> None:
    assert lives.ended("from-log").message == "DONE"


@line(RUNTIME, "terminationMessagePath custom, non-root")
def test_the_message_may_be_elsewhere(lives: Lives) -> None:
    assert lives.ended("own-file").message == "DONE"


@line(RUNTIME, "restart policy and phases")
def test_restart_policies_and_phases(lives: Lives) -> None:
    lives.restarted("always")
    lives.restarted("on-failure")
    assert lives.status("always").phase == "Running"
    assert lives.ended("never").exit_code == 1
    lives.eventually("it has failed", lambda: lives.status("never").phase == "Failed")
    assert lives.main("never").restart_count == 0
    assert not lives.is_ready("never")


@line(KUBELET, "terminated reason")
def test_an_end_has_a_reason(lives: Lives) -> None:
    assert lives.ended("never").reason == "Error"
    assert lives.ended("quiet").reason == "Completed"


@line(KUBELET, "delete failing pod")
def test_a_failing_pod_can_be_deleted(lives: Lives) -> None:
    lives.restarted("fails")
    lives.cluster.kubectl("-n", NAMESPACE, "delete", "pod", "fails", "--timeout=60s")


@line(INIT, "init, restartAlways")
def test_init_containers_run_one_after_the_other(lives: Lives) -> None:
    lives.eventually("it is ready", lambda: lives.is_ready("in-order"))
    first, second = lives.status("in-order").init_container_statuses
    assert first.state.terminated.exit_code == second.state.terminated.exit_code == 0
    assert first.state.terminated.finished_at <= second.state.terminated.started_at
    conditions = {one.type: one.status for one in lives.status("in-order").conditions}
    assert conditions["Initialized"] == "True"


@line(INIT, "init, restartNever")
def test_init_containers_of_a_pod_that_runs_once(lives: Lives) -> None:
    assert lives.ended("in-order-once").exit_code == 0
    lives.eventually("all is done", lambda: lives.status("in-order-once").phase == "Succeeded")


@line(INIT, "init fails, restartNever")
def test_a_failed_init_container_fails_the_pod(lives: Lives) -> None:
    name = "init-fails-once"
    lives.eventually("it has failed", lambda: lives.status(name).phase == "Failed")
    first, second = lives.status(name).init_container_statuses
    assert first.state.terminated.exit_code == 1
    assert second.state.waiting.reason == lives.main(name).state.waiting.reason == "PodInitializing"


@line(INIT, "init fails, restartAlways")
def test_a_failing_init_container_is_tried_again(lives: Lives) -> None:
    def tried() -> bool:
        found = lives.status("init-fails").init_container_statuses
        return bool(found) and found[0].restart_count >= 2

    lives.eventually("it is tried again", tried)
    assert lives.status("init-fails").phase == "Pending"
    assert lives.main("init-fails").state.waiting.reason == "PodInitializing"


@line(PROBES, "restart, http liveness fails")
def test_what_does_not_answer_is_restarted(lives: Lives) -> None:
    lives.restarted("http-fails")


@line(PROBES, "restart, exec fails")
def test_what_does_not_live_is_restarted(lives: Lives) -> None:
    lives.restarted("exec-fails")


@line(PROBES, "monotonic restart count")
def test_restarts_are_counted(lives: Lives) -> None:
    counts = []

    def seen() -> bool:
        one = lives.main("never-well")
        counts.append(one.restart_count if one else 0)
        return counts[-1] >= 2

    lives.eventually("it is restarted twice", seen)
    assert counts == sorted(counts)


@line(PROBES, "no restart, http liveness ok")
def test_what_answers_stays(lives: Lives) -> None:
    lives.steady("http-fine")


@line(PROBES, "no restart, tcp liveness")
def test_what_takes_connections_stays(lives: Lives) -> None:
    lives.steady("tcp-fine")


@line(PROBES, "no restart, grpc liveness")
def test_what_says_that_it_serves_stays(lives: Lives) -> None:
    lives.steady("grpc-fine")


@line(PROBES, "restart, grpc fails")
def test_what_is_not_asked_where_it_serves_is_restarted(lives: Lives) -> None:
    lives.restarted("grpc-fails")


@line(PROBES, "no restart, exec liveness")
def test_what_lives_stays(lives: Lives) -> None:
    lives.steady("exec-fine")


@line(PROBES, "readiness fails")
def test_what_never_says_so_is_never_ready(lives: Lives) -> None:
    lives.steady("never-ready")
    assert not lives.is_ready("never-ready")


@line(PROBES, "readiness initialDelay")
def test_nobody_is_ready_before_the_first_question(lives: Lives) -> None:
    lives.eventually("it is ready", lambda: lives.is_ready("late"))
    status = lives.status("late")
    ready = next(one for one in status.conditions if one.type == "Ready")
    started = status.container_statuses[0].state.running.started_at
    assert (ready.last_transition_time - started).total_seconds() >= 5
    [main] = status.container_statuses
    assert main.restart_count == 0, main.last_state


@line(HOSTS, "managed /etc/hosts")
def test_hosts_are_the_kubelets_unless_they_are_the_nodes_or_the_pods(lives: Lives) -> None:
    def hosts(name: str) -> str:
        lives.eventually(f"{name} is ready", lambda: lives.is_ready(name))
        return lives.cluster.kubectl("-n", NAMESPACE, "exec", name, "--", "cat", "/etc/hosts")

    managed = "# Kubernetes-managed hosts file."
    assert managed in hosts("hosts")
    assert managed not in hosts("hosts-mounted")
    assert managed not in hosts("hosts-of-node")


@pytest.fixture(scope="module")
def server(lives: Lives) -> str:
    """The address of a pod that logs what it is asked."""
    pod = {"metadata": {"name": "server"},
           "spec": {"containers": [{"name": "main", "image": "nginx"}]}}  # fmt: skip
    lives.client.core.create_namespaced_pod(NAMESPACE, pod)
    lives.eventually("the server is ready", lambda: lives.is_ready("server"))
    return str(lives.status("server").pod_ip)


def _hooked(lives: Lives, server: str, when: str, how: str) -> None:
    path = f"/{when}-{how}".lower()
    hook: dict[str, Any] = {"httpGet": {"host": server, "port": 80, "path": path}}
    if how == "exec":
        asked = ["sh", "-c", f"wget -q -O- http://{server}{path}; true"]
        hook = {"exec": {"command": asked}}
    name = path.strip("/")
    pod = _pod(name, "exec sleep 3600", lifecycle={when: hook})
    pod["spec"]["terminationGracePeriodSeconds"] = 10
    lives.client.core.create_namespaced_pod(NAMESPACE, pod)
    lives.eventually("it is ready", lambda: lives.is_ready(name))
    if when == "preStop":
        lives.client.core.delete_namespaced_pod(name, NAMESPACE)

    def asked_for() -> bool:
        return path in lives.client.core.read_namespaced_pod_log("server", NAMESPACE)

    lives.eventually("the server was asked", asked_for)


@line(HOOKS, "postStart exec")
def test_a_command_after_the_start(lives: Lives, server: str) -> None:
    _hooked(lives, server, "postStart", "exec")


@line(HOOKS, "postStart httpGet")
def test_a_request_after_the_start(lives: Lives, server: str) -> None:
    _hooked(lives, server, "postStart", "httpGet")


@line(HOOKS, "preStop exec")
@line("node/pre_stop.go", "preStop called on kill")
def test_a_command_before_the_end(lives: Lives, server: str) -> None:
    _hooked(lives, server, "preStop", "exec")


@line(HOOKS, "preStop httpGet")
def test_a_request_before_the_end(lives: Lives, server: str) -> None:
    _hooked(lives, server, "preStop", "httpGet")


@line("common/node/pods.go", "service env vars")
def test_services_are_in_the_environment(lives: Lives) -> None:
    service = {"metadata": {"name": "foo-service"}, "spec": {"ports": [{"port": 8765}]}}
    made = lives.client.core.create_namespaced_service(NAMESPACE, service)
    manifest = json.dumps({"apiVersion": "v1", "kind": "Pod", **_pod("told", "env", "Never")})

    def told() -> bool:
        lives.cluster.kubectl("-n", NAMESPACE, "replace", "--force", "-f", "-", stdin=manifest)
        lives.ended("told")
        printed = lives.client.core.read_namespaced_pod_log("told", NAMESPACE)
        return f"FOO_SERVICE_SERVICE_HOST={made.spec.cluster_ip}\n" in printed

    lives.eventually("the kubelet knows the service", told)
