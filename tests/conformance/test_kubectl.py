"""kubectl, unmodified, against real pods: the lines of sig-cli."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.cluster import Cluster
from kit.manifests import DEPLOYMENT
from kit.syllabus import line

KUBECTL = "kubectl/kubectl.go"
RC = """
apiVersion: v1
kind: ReplicationController
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {app: web}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: nginx, image: nginx, ports: [{containerPort: 80}]}
"""


class In:
    """kubectl in one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace

    def __call__(self, *arguments: str, text: str | None = None) -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments, stdin=text)

    def get(self, *arguments: str) -> dict:
        return json.loads(self("get", *arguments, "-o", "json"))

    def wait_pods(self, selector: str, count: int) -> list[dict]:
        """Exactly so many, and all of them ready."""

        def ready() -> list[dict] | None:
            pods = self.get("pods", "-l", selector)["items"]
            whole = [
                pod
                for pod in pods
                for condition in pod["status"].get("conditions", ())
                if condition["type"] == "Ready" and condition["status"] == "True"
            ]
            return whole if len(whole) == len(pods) == count else None

        return self.cluster.eventually(f"{count} pods {selector}", ready)


@pytest.fixture
def kubectl(cluster: Cluster, namespace: str) -> In:
    return In(cluster, namespace)


@pytest.fixture
def web(kubectl: In) -> In:
    """A replication controller with two pods."""
    kubectl("create", "-f", "-", text=RC)
    kubectl.wait_pods("app=web", 2)
    return kubectl


@pytest.fixture
def pod(kubectl: In) -> In:
    kubectl("run", "one", "--image=nginx", "--labels=app=one")
    kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=60s")
    return kubectl


@line(KUBECTL, "api-versions has v1")
def test_api_versions(cluster: Cluster) -> None:
    assert "v1" in cluster.kubectl("api-versions").splitlines()


@line(KUBECTL, "cluster-info")
def test_cluster_info_names_the_control_plane(cluster: Cluster) -> None:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", cluster.kubectl("cluster-info"))
    assert f"Kubernetes control plane is running at https://127.0.0.1:{cluster.port}" in plain


@line(KUBECTL, "version")
def test_version_of_both_sides(cluster: Cluster) -> None:
    told = json.loads(cluster.kubectl("version", "-o", "json"))
    for side in ("clientVersion", "serverVersion"):
        assert told[side]["major"] == "1"
        assert set(told[side]) >= {
            "gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler",
            "platform",
        }  # fmt: skip
    assert told["serverVersion"]["minor"] == "37"


@line(KUBECTL, "describe rc and pods")
def test_describe(web: In) -> None:
    web("expose", "rc", "web", "--port=80")
    (name, *_) = [pod["metadata"]["name"] for pod in web.get("pods")["items"]]
    pod = web("describe", "pod", name)
    for part in ("Name:", "Namespace:", "Node:", "Labels:", "app=web", "Status:", "Running", "IP:",
                 "Controlled By:", "ReplicationController/web", "Image:", "State:", "QoS Class:",
                 "BestEffort"):  # fmt: skip
        assert part in pod
    rc = web("describe", "rc", "web")
    for part in ("Selector:", "app=web", "Replicas:", "2 current / 2 desired", "2 Running",
                 "Pod Template:", "Events:", "SuccessfulCreate"):  # fmt: skip
        assert part in rc
    service = web("describe", "service", "web")
    for part in ("Type:", "ClusterIP", "Port:", "80/TCP", "Endpoints:", "Session Affinity:"):
        assert part in service
    node = web("describe", "node", web.get("pod", name)["spec"]["nodeName"])
    for part in ("Labels:", "Annotations:", "CreationTimestamp:", "Conditions:", "Addresses:",
                 "Capacity:", "Version", "Kubelet Version:", "Pods:", name):  # fmt: skip
        assert part in node
    assert "Status:       Active" in web("describe", "namespace", web.namespace)
    web("create", "cronjob", "c", "--image=busybox", "--schedule=0 0 1 1 *")
    cronjob = web("describe", "cronjob", "c")
    for part in ("Schedule:", "0 0 1 1 *", "Concurrency Policy:", "Allow", "Suspend:", "False"):
        assert part in cronjob


@line(KUBECTL, "diff Deployment")
def test_diff_shows_what_would_change(kubectl: In, tmp_path: Path) -> None:
    kubectl("apply", "-f", "-", text=DEPLOYMENT)
    changed = tmp_path / "changed.yaml"
    changed.write_text(DEPLOYMENT.replace("image: nginx", "image: busybox"))
    for flags in ((), ("--server-side", "--force-conflicts")):
        told = kubectl.cluster.try_kubectl(
            "-n", kubectl.namespace, "diff", "-f", str(changed), *flags
        )
        assert told.returncode == 1, told.stderr
        assert re.search(r"^-\s+(- )?image: nginx$", told.stdout, re.MULTILINE), told.stdout
        assert re.search(r"^\+\s+(- )?image: busybox$", told.stdout, re.MULTILINE), told.stdout
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert kubectl("get", "deployment", "web", "-o", image) == "nginx"


@line(KUBECTL, "expose rc")
def test_expose_an_rc_and_a_service(web: In) -> None:
    web("expose", "rc", "web", "--name=first", "--port=1234", "--target-port=80")
    web("expose", "service", "first", "--name=second", "--port=2345", "--target-port=80")
    ips = {pod["status"]["podIP"] for pod in web.get("pods")["items"]}

    def reaches(name: str) -> bool:
        subsets = web.get("endpoints", name).get("subsets", [])
        found = {address["ip"] for one in subsets for address in one.get("addresses", ())}
        return found == ips and all(one["ports"][0]["port"] == 80 for one in subsets)

    for name, port in (("first", 1234), ("second", 2345)):
        web.cluster.eventually(f"endpoints of {name}", lambda name=name: reaches(name))
        service = web.get("service", name)
        assert service["spec"]["ports"][0]["port"] == port
        url = f"http://{service['spec']['clusterIP']}:{port}"
        web.cluster.eventually("it answers", lambda url=url: _answers(web.cluster, url))


def _answers(cluster: Cluster, url: str) -> bool:
    return cluster.on_node(1, "curl", "-sSf", "--max-time", "5", url).returncode == 0


@line(KUBECTL, "label")
def test_a_label_comes_and_goes(pod: In) -> None:
    pod("label", "pod", "one", "testing-label=testing-label-value")
    assert "testing-label-value" in pod("get", "pod", "one", "-L", "testing-label")
    assert "one" in pod("get", "pod", "-l", "testing-label=testing-label-value")
    pod("label", "pod", "one", "testing-label-")
    assert "testing-label-value" not in pod("get", "pod", "one", "-L", "testing-label")


@line(KUBECTL, "patch annotations")
def test_every_pod_of_an_rc_is_patched(web: In) -> None:
    for found in web.get("pods", "-l", "app=web")["items"]:
        web(
            "patch",
            "pod",
            found["metadata"]["name"],
            "-p",
            '{"metadata":{"annotations":{"x":"y"}}}',
        )
    pods = web.get("pods", "-l", "app=web")["items"]
    assert [pod["metadata"]["annotations"]["x"] for pod in pods] == ["y", "y"]


@line(KUBECTL, "replace")
def test_replace_changes_the_image(pod: In) -> None:
    found = pod.get("pod", "one")
    found["spec"]["containers"][0]["image"] = "busybox"
    pod("replace", "-f", "-", text=json.dumps(found))
    assert pod.get("pod", "one")["spec"]["containers"][0]["image"] == "busybox"


@line(KUBECTL, "run pod")
def test_run_makes_a_pod_that_is_not_restarted(kubectl: In) -> None:
    kubectl("run", "once", "--image=busybox", "--restart=Never", "--", "true")
    made = kubectl.get("pod", "once")
    assert made["spec"]["restartPolicy"] == "Never"
    assert made["spec"]["containers"][0]["image"] == "busybox"
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/once", "--timeout=60s")


@line(KUBECTL, "server-side dry-run")
def test_a_dry_run_is_answered_and_not_kept(pod: In) -> None:
    patch = '{"spec":{"containers":[{"name":"one","image":"busybox"}]}}'
    image = "jsonpath={.spec.containers[0].image}"
    said = pod("patch", "pod", "one", "-p", patch, "--dry-run=server", "-o", image)
    assert said == "busybox"
    assert pod("get", "pod", "one", "-o", image) == "nginx"


@line(KUBECTL, "Update Demo: create/stop rc")
def test_an_rc_runs_its_pods_and_takes_them_along(web: In) -> None:
    for found in web.get("pods")["items"]:
        path = f"/api/v1/namespaces/{web.namespace}/pods/{found['metadata']['name']}/proxy/hostname"
        assert web("get", "--raw", path).strip() == found["metadata"]["name"]
    web("delete", "rc", "web", "--timeout=60s")
    web.cluster.eventually("no pods", lambda: not web.get("pods", "-l", "app=web")["items"])


@line(KUBECTL, "Update Demo: scale rc")
def test_an_rc_is_scaled_down_and_up(web: In) -> None:
    web("scale", "rc", "web", "--replicas=1", "--timeout=60s")
    web.wait_pods("app=web", 1)
    web("scale", "rc", "web", "--replicas=2", "--current-replicas=1", "--timeout=60s")
    web.wait_pods("app=web", 2)


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[object]:
    """Starts ``kubectl proxy``; what it says first."""
    started: list[subprocess.Popen[str]] = []

    def start(*flags: str) -> str:
        process = subprocess.Popen(
            ["kubectl", "proxy", *flags], env=cluster.environment, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        return process.stdout.readline()

    yield start
    for process in started:
        process.kill()
        process.communicate()


@line(KUBECTL, "proxy --port 0")
def test_proxy_on_any_port(proxy) -> None:
    said = proxy("--port=0", "--disable-filter=true")
    port = re.search(r":(\d+)\s*$", said)
    assert port, said
    with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/api/", timeout=10) as answer:
        assert json.load(answer)["kind"] == "APIVersions"


@line(KUBECTL, "proxy --unix-socket")
def test_proxy_on_a_unix_socket(proxy, tmp_path: Path) -> None:
    path = tmp_path / "proxy.sock"
    proxy(f"--unix-socket={path}", "--disable-filter=true")
    command = ["curl", "-sSf", "--unix-socket", str(path), "http://localhost/api/"]
    assert json.loads(subprocess.check_output(command))["kind"] == "APIVersions"


@line("kubectl/logs.go", "logs filter")
def test_logs_are_filtered(kubectl: In) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9 10; do echo line $i; done; sleep 3600"
    kubectl("run", "talker", "--image=busybox", "--", "sh", "-c", script)
    kubectl("wait", "--for=condition=Ready", "pod/talker", "--timeout=60s")

    def logs(*flags: str) -> str:
        return kubectl("logs", "talker", *flags)

    kubectl.cluster.eventually("all lines", lambda: "line 10" in logs())
    assert logs("--tail=1") == "line 10\n"
    assert logs("--limit-bytes=1") == "l"
    stamped = logs("--tail=1", "--timestamps").split()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", stamped[0])
    assert stamped[1:] == ["line", "10"]
    assert len(logs("--since=24h").splitlines()) == 10
    kubectl.cluster.eventually("it is silent for a second", lambda: not logs("--since=1s"))
