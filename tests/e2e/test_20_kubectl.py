"""What people do with kubectl every day, on real pods."""

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator

from kit.cluster import Cluster

DURING_UPDATE_REQUESTS = 500


@contextlib.contextmanager
def printing(cluster: Cluster, *arguments: str) -> Iterator[list[str]]:
    """A kubectl that runs on, and the lines it has printed so far."""
    lines: list[str] = []
    with subprocess.Popen(
        ["kubectl", *arguments], env=cluster.environment, stdout=subprocess.PIPE, text=True
    ) as process:
        reader = threading.Thread(target=_collect, args=(process, lines))
        reader.start()
        try:
            yield lines
        finally:
            process.kill()
            reader.join()


def _collect(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)  # noqa: PERF402 - line by line, so that the test sees them as they come


def nginx_versions(cluster: Cluster) -> set[str]:
    pods = cluster.pods("app=nginx")
    return {pod["spec"]["containers"][0]["image"] for pod in pods}


def test_scale_up_and_down(example: Cluster) -> None:
    example.kubectl("scale", "deployment", "ngx-deployment", "--replicas=5")
    example.eventually("5/5", lambda: example.deployment_is("ngx-deployment", 5))
    assert len(example.pods("app=nginx")) == 5
    example.kubectl("scale", "deployment", "ngx-deployment", "--replicas=2")
    example.eventually("2/2", lambda: example.deployment_is("ngx-deployment", 2))
    example.eventually(
        "the others are gone", lambda: len(example.get("pods", "-l", "app=nginx")["items"]) == 2
    )


def test_rollout_restart_replaces_every_pod(example: Cluster) -> None:
    before = {pod["metadata"]["uid"] for pod in example.pods("app=nginx")}
    example.kubectl("rollout", "restart", "deployment/ngx-deployment")
    said = example.kubectl("rollout", "status", "deployment/ngx-deployment", "--timeout=90s")
    assert "successfully rolled out" in said
    example.eventually("2/2", lambda: example.deployment_is("ngx-deployment", 2))
    after = {pod["metadata"]["uid"] for pod in example.pods("app=nginx")}
    assert before.isdisjoint(after)


def test_a_rolling_update_loses_no_request_and_undo_goes_back(example: Cluster) -> None:
    address = example.get("service", "ngx-service")["spec"]["clusterIP"]
    asked: list[object] = []

    def ask() -> None:
        try:
            asked.append(example.ask(f"http://{address}", DURING_UPDATE_REQUESTS))
        except AssertionError as failure:
            asked.append(failure)

    client = threading.Thread(target=ask)
    client.start()
    example.kubectl("set", "image", "deployment/ngx-deployment", "nginx=nginx:1.29")
    example.kubectl("rollout", "status", "deployment/ngx-deployment", "--timeout=90s")
    client.join()
    assert not isinstance(asked[0], AssertionError), asked[0]
    assert nginx_versions(example) == {"nginx:1.29"}
    example.kubectl("rollout", "undo", "deployment/ngx-deployment")
    example.kubectl("rollout", "status", "deployment/ngx-deployment", "--timeout=90s")
    example.eventually("2/2", lambda: example.deployment_is("ngx-deployment", 2))
    assert nginx_versions(example) == {"nginx:1.7.9"}


def test_logs_show_and_follow_requests(example: Cluster) -> None:
    pod = example.pods("app=nginx")[0]
    name, address = pod["metadata"]["name"], pod["status"]["podIP"]
    with printing(example, "logs", "-f", "--tail=0", name) as lines:

        def request_is_followed() -> bool:
            example.on_node(1, "curl", "-s", f"http://{address}/followed")
            return any("/followed" in line for line in lines)

        example.eventually("the line is followed", request_is_followed, seconds=20)
    assert "/followed" in example.kubectl("logs", name)
    assert len(example.kubectl("logs", "--tail=1", name).splitlines()) == 1


def test_exec_runs_in_the_container(example: Cluster) -> None:
    name = example.pods("app=nginx")[0]["metadata"]["name"]
    assert example.kubectl("exec", name, "--", "hostname").strip() == name
    said = example.kubectl("exec", "-i", name, "--", "sh", "-c", "cat; echo done", stdin="typed\n")
    assert said.split() == ["typed", "done"]
    failed = example.try_kubectl("exec", name, "--", "sh", "-c", "echo bad >&2; exit 7")
    assert failed.returncode == 7
    assert "bad" in failed.stderr


def test_exec_with_a_terminal(example: Cluster) -> None:
    name = example.pods("app=nginx")[0]["metadata"]["name"]
    command = f"kubectl exec -it {name} -- sh -c 'test -t 0 && echo a-terminal'"
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"],
        env=example.environment, capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert "a-terminal" in done.stdout, done


def test_describe_tells_the_pods_story(example: Cluster) -> None:
    name = example.pods("app=nginx")[0]["metadata"]["name"]
    story = example.kubectl("describe", "pod", name)
    for reason in ("Scheduled", "Pulled", "Created", "Started"):
        assert reason in story, story
    assert "Successfully assigned default/" in story


def test_wide_output_names_node_and_address(example: Cluster) -> None:
    example.eventually(
        "old pods are gone", lambda: len(example.get("pods", "-l", "app=nginx")["items"]) == 2
    )
    header, *rows = example.kubectl("get", "pods", "-l", "app=nginx", "-o", "wide").splitlines()
    assert header.split()[:7] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]
    assert all("node-" in row and "10.244." in row and "Running" in row for row in rows)


def test_watch_sees_a_label_come_and_go(example: Cluster) -> None:
    name = example.pods("app=nginx")[0]["metadata"]["name"]
    selector = ["-l", "colour=red", "-w", "--no-headers"]
    with printing(example, "get", "pods", *selector) as lines:
        example.kubectl("label", "pod", name, "colour=red")
        example.eventually("it is seen", lambda: any(line.startswith(name) for line in lines))
    example.kubectl("label", "pod", name, "colour-")
    assert example.pods("colour=red") == []


def test_annotate_and_label(example: Cluster) -> None:
    example.kubectl("annotate", "deployment", "ngx-deployment", "note=hello")
    example.kubectl("label", "deployment", "ngx-deployment", "tier=front")
    metadata = example.get("deployment", "ngx-deployment")["metadata"]
    assert metadata["annotations"]["note"] == "hello"
    assert metadata["labels"]["tier"] == "front"
    refused = example.try_kubectl("label", "deployment", "ngx-deployment", "tier=back")
    assert "--overwrite is false" in refused.stderr


def test_explain_a_field(cluster: Cluster) -> None:
    said = cluster.kubectl("explain", "deployment.spec")
    assert "GROUP:      apps" in said
    for field in ("replicas", "selector", "template", "strategy"):
        assert field in said


def test_delete_takes_the_pods_along(cluster: Cluster) -> None:
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "gone"},
        "spec": {
            "selector": {"matchLabels": {"app": "gone"}},
            "template": {
                "metadata": {"labels": {"app": "gone"}},
                "spec": {"containers": [{"name": "nginx", "image": "nginx:1.29"}]},
            },
        },
    }
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(deployment))
    cluster.eventually("1/1", lambda: cluster.deployment_is("gone", 1))
    cluster.kubectl("delete", "deployment", "gone")
    cluster.eventually("no pod is left", lambda: not cluster.get("pods", "-l", "app=gone")["items"])
    assert cluster.get("replicasets", "-l", "app=gone")["items"] == []


def test_apply_twice_changes_nothing(cluster: Cluster) -> None:
    manifest = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "settings"},
            "data": {"colour": "red"},
        }
    )
    assert "created" in cluster.kubectl("apply", "-f", "-", stdin=manifest)
    assert "unchanged" in cluster.kubectl("apply", "-f", "-", stdin=manifest)
    changed = manifest.replace("red", "blue")
    assert "configured" in cluster.kubectl("apply", "-f", "-", stdin=changed)
    assert cluster.get("configmap", "settings")["data"] == {"colour": "blue"}
    cluster.kubectl("delete", "configmap", "settings")


def test_what_kubectl_makes_by_itself(example: Cluster) -> None:
    """kubectl's own generators send protobuf; the pod runs an image pulled under a moving tag."""
    example.kubectl("create", "namespace", "made")
    try:
        example.kubectl("-n", "made", "create", "secret", "generic", "s", "--from-literal=a=b")
        assert example.get("-n", "made", "secret", "s")["data"] == {"a": "Yg=="}
        example.kubectl("-n", "made", "create", "deployment", "web", "--image=nginx")
        example.kubectl("-n", "made", "rollout", "status", "deployment/web", "--timeout=60s")
        example.kubectl("-n", "made", "expose", "deployment", "web", "--port=80")
        assert example.kubectl("-n", "made", "create", "token", "default").count(".") == 2
        said = example.kubectl("-n", "made", "run", "b", "--image=busybox", "--restart=Never",
                               "--attach", "--quiet", "--", "echo", "made it")  # fmt: skip
        assert "made it" in said
    finally:
        example.kubectl("delete", "namespace", "made", timeout=90)
    assert example.try_get("namespace", "made") is None
