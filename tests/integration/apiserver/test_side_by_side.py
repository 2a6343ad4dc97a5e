"""Three API servers as processes on one etcd: what users of any of them see of all."""

import concurrent.futures
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import pytest
from kit.stores import etcd_process, free_ports

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
SERVICES = "/api/v1/namespaces/default/services"
ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
WAIT_SECONDS_MAX = 40


@dataclass
class Fleet:
    """Servers by number, and the way to start and stop one."""

    api: object
    etcd: object
    folder: object
    processes: dict
    servers: dict

    def start(self, number):
        folder = self.folder / str(number)
        folder.mkdir(exist_ok=True)
        (port,) = free_ports(1)
        command = [
            sys.executable, "-m", "pilothouse.ops.cli", "apiserver", f"--pki-dir={self.api.pki}",
            f"--data-dir={folder}", f"--run-dir={folder}", f"--secure-port={port}",
            f"--advertise-address=10.9.0.{number}", f"--etcd-servers=http://{self.etcd.address}",
            "--request-timeout=10s",
        ]  # fmt: skip
        with (folder / "log").open("ab") as log:
            self.processes[number] = subprocess.Popen(command, stdout=log, stderr=log)
        self.servers[number] = type(self.api)(self.api.folder, f"https://127.0.0.1:{port}")

    def wait_ready(self, number):
        wait(lambda: answered(self.servers[number], "/readyz") == 200)
        return self.servers[number]

    def kill(self, number):
        process = self.processes.pop(number)
        process.kill()
        process.wait()
        del self.servers[number]


def answered(server, path):
    """The status code; 0 when nobody answers."""
    try:
        return server.get(path).code
    except OSError:
        return 0


def wait(condition):
    end = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(condition)


@pytest.fixture(scope="module")
def fleet(api, tmp_path_factory):
    with etcd_process() as etcd:
        made = Fleet(api, etcd, tmp_path_factory.mktemp("fleet"), {}, {})
        try:
            # All at once, on a store where nothing is: each finds what the others make.
            for number in (1, 2, 3):
                made.start(number)
            for number in (1, 2, 3):
                made.wait_ready(number)
            yield made
        finally:
            for process in made.processes.values():
                process.terminate()
            for process in made.processes.values():
                process.wait()


@pytest.fixture
def three(fleet):
    return tuple(fleet.servers.values())


def spread(work, count, threads=9):
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, range(count)))


def configmap(name, **content):
    return {"metadata": {"name": name}, "data": content}


def served_by(server):
    found = server.get(ENDPOINTS).json["subsets"][0]["addresses"]
    return [int(each["ip"].rpartition(".")[2]) for each in found]


def test_each_is_among_the_endpoints_and_has_an_identity(three):
    wait(lambda: served_by(three[0]) == [1, 2, 3])
    leases = wait(lambda: (found := three[1].get(LEASES).json["items"])[2:] and found)
    assert all(each["metadata"]["name"].startswith("apiserver-") for each in leases)
    assert {each["metadata"]["labels"]["apiserver.kubernetes.io/identity"] for each in leases} == {
        "kube-apiserver"
    }
    assert len({each["spec"]["holderIdentity"] for each in leases}) == 3


def test_nothing_acknowledged_is_lost_with_a_server(fleet, three):
    """One of three is killed while clients write, who then go to the next one."""
    acknowledged, stop = [], threading.Event()

    def write(number):
        at, count = number, 0
        while not stop.is_set():
            name = f"kept-{number}-{count}"
            try:
                answer = three[at % 3].request("POST", CONFIGMAPS, configmap(name))
            except (OSError, json.JSONDecodeError):
                # It may have been written, or not; that is the one that was not acknowledged.
                at, count = at + 1, count + 1
                continue
            assert answer.code in (201, 503, 504), answer.body
            if answer.code == 201:
                acknowledged.append(name)
            count += 1

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        writers = [pool.submit(write, number) for number in range(6)]
        wait(lambda: len(acknowledged) > 60)
        fleet.kill(3)
        before = len(acknowledged)
        wait(lambda: len(acknowledged) > before + 60)
        stop.set()
        for writer in writers:
            writer.result()
    present = {each["metadata"]["name"] for each in three[0].get(CONFIGMAPS).json["items"]}
    assert set(acknowledged) <= present

    # Another comes; the last test sees the end of the dead one.
    fleet.start(4)
    assert fleet.wait_ready(4).get(CONFIGMAPS).code == 200


def test_increments_by_compare_and_swap_are_all_there(three):
    three[0].request("POST", CONFIGMAPS, configmap("counter", n="0"))

    def increment(number):
        server = three[number % 3]
        while True:
            found = server.get(f"{CONFIGMAPS}/counter").json
            found["data"]["n"] = str(int(found["data"]["n"]) + 1)
            answer = server.request("PUT", f"{CONFIGMAPS}/counter", found)
            if answer.code == 200:
                return
            assert answer.code == 409, answer.body

    spread(increment, 30)
    assert three[2].get(f"{CONFIGMAPS}/counter").json["data"]["n"] == "30"


def test_patches_and_applies_of_many_are_all_there(three):
    three[0].request("POST", CONFIGMAPS, configmap("merged"))

    def merge(number):
        patch = {"data": {f"k{number}": "x"}}
        headers = {"Content-Type": "application/merge-patch+json"}
        return three[number % 3].request("PATCH", f"{CONFIGMAPS}/merged", patch, headers=headers)

    def apply(number):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}}
        body["data"] = {f"k{number}": "x"}
        headers = {"Content-Type": "application/apply-patch+yaml"}
        path = f"{CONFIGMAPS}/applied?fieldManager=m{number}"
        return three[number % 3].request("PATCH", path, body, headers=headers)

    assert {answer.code for answer in spread(merge, 60, 20)} == {200}
    assert len(three[1].get(f"{CONFIGMAPS}/merged").json["data"]) == 60
    assert {answer.code for answer in spread(apply, 30, 20)} <= {200, 201}
    applied = three[2].get(f"{CONFIGMAPS}/applied").json
    assert len(applied["data"]) == 30
    assert len(applied["metadata"]["managedFields"]) == 30


def test_numbers_of_services_are_given_once_and_come_back(three):
    def create(number):
        spec = {
            "type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}],
        }  # fmt: skip
        body = {"metadata": {"name": f"s{number}"}, "spec": spec}
        return three[number % 3].request("POST", SERVICES, body)

    made = [answer.json["spec"] for answer in spread(create, 30, 15)]
    assert len({spec["clusterIP"] for spec in made}) == 30
    ports = [spec["ports"][0]["nodePort"] for spec in made]
    assert len({*ports, *(spec["healthCheckNodePort"] for spec in made)}) == 60
    spread(lambda n: three[(n + 1) % 3].request("DELETE", f"{SERVICES}/s{n}"), 30)
    addresses = "/apis/networking.k8s.io/v1/ipaddresses"
    assert [each["metadata"]["name"] for each in three[0].get(addresses).json["items"]] == [
        "10.96.0.1"
    ]
    freed = made[0]["healthCheckNodePort"]
    body = {
        "metadata": {"name": "again"},
        "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": freed}]},
    }
    assert three[2].request("POST", SERVICES, body).code == 201


def test_kinds_rights_and_levels_of_one_are_those_of_all(three):
    one, two, three_ = three
    names = {"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema},
    }  # fmt: skip
    body = {
        "metadata": {"name": "foos.side.example"},
        "spec": {
            "group": "side.example", "scope": "Namespaced", "names": names, "versions": [version],
        },
    }  # fmt: skip
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert one.request("POST", path, body).code == 201
    wait(lambda: two.get("/apis/side.example/v1").code == 200)
    wait(lambda: "apis/side.example/v1" in three_.get("/openapi/v3").json["paths"])
    foos = "/apis/side.example/v1/namespaces/default/foos"
    foo = {"apiVersion": "side.example/v1", "kind": "Foo", "metadata": {"name": "a"}}
    assert two.request("POST", foos, foo).code == 201
    assert three_.get(f"{foos}/a").code == 200
    binding = {
        "metadata": {"name": "side"},
        "subjects": [{"kind": "User", "name": "joe", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"},
    }  # fmt: skip
    joe = {"Impersonate-User": "joe"}
    assert three_.get(CONFIGMAPS, headers=joe).code == 403
    path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    assert one.request("POST", path, binding).code == 201
    wait(lambda: three_.get(CONFIGMAPS, headers=joe).code == 200)
    rule = {
        "subjects": [{"kind": "User", "user": {"name": "joe"}}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    }
    spec = {
        "matchingPrecedence": 700,
        "priorityLevelConfiguration": {"name": "workload-low"},
        "rules": [rule],
    }
    path = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"
    made = two.request("POST", path, {"metadata": {"name": "side"}, "spec": spec})
    sorted_by = "X-Kubernetes-PF-FlowSchema-UID"
    uid = made.json["metadata"]["uid"]
    wait(lambda: one.get("/version", headers=joe).headers[sorted_by] == uid)


def test_pages_and_watches_go_on_elsewhere(three):
    one, two, _ = three
    for number in range(6):
        one.request("POST", CONFIGMAPS, configmap(f"page{number}", p="x"))
    first = one.get(f"{CONFIGMAPS}?limit=3").json
    one.request("POST", CONFIGMAPS, configmap("page-later"))
    rest = two.get(f"{CONFIGMAPS}?limit=500&continue={first['metadata']['continue']}").json
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    names = [each["metadata"]["name"] for each in (*first["items"], *rest["items"])]
    assert {f"page{number}" for number in range(6)} <= set(names)
    assert "page-later" not in names
    since = first["metadata"]["resourceVersion"]
    path = f"{CONFIGMAPS}?watch=1&timeoutSeconds=1&resourceVersion={since}"
    bodies = spread(lambda number: three[number].get(path).body.splitlines(), 3)
    assert json.loads(bodies[0][0])["object"]["metadata"]["name"] == "page-later"
    assert bodies[0] == bodies[1] == bodies[2]


def test_the_dead_one_has_gone_from_the_endpoints(three):
    wait(lambda: served_by(three[2]) == [1, 2, 4])


def test_an_etcd_that_is_away_for_a_while(fleet, three):
    one, two, _ = three
    since = one.get(CONFIGMAPS).json["metadata"]["resourceVersion"]
    path = f"{CONFIGMAPS}?watch=1&timeoutSeconds=4&resourceVersion={since}"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        watch = pool.submit(two.get, path)
        fleet.etcd.stop()
        ready = one.get("/readyz")
        assert ready.code == 500
        assert b"[-]etcd failed: reason withheld" in ready.body
        assert ready.body.endswith(b"readyz check failed\n")
        refused = one.request("POST", CONFIGMAPS, configmap("away"))
        assert (refused.code, refused.reason) == (503, "ServiceUnavailable")
        assert refused.headers["Retry-After"] == "1"
        assert one.get(CONFIGMAPS).code == 503
        assert one.get(f"{CONFIGMAPS}?resourceVersion=0").code == 200
        fleet.etcd.start()
        wait(lambda: answered(one, "/readyz") == 200)
        wait(lambda: one.request("POST", CONFIGMAPS, configmap("back")).code in (201, 409))
        seen = [
            json.loads(line)["object"]["metadata"]["name"]
            for line in watch.result().body.splitlines()
        ]
    assert seen == ["back"]


def test_a_server_on_the_store_of_another(api, started, namespace):
    """One has the store in its own process, the other comes to its socket."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    with started(f"--etcd-servers=unix://{api.folder}/run/store.sock") as (guest, process):
        for number in range(10):
            writer, reader = (api, guest) if number % 2 else (guest, api)
            made = writer.request("POST", path, configmap(f"c{number}")).json
            assert reader.get(f"{path}/c{number}").json == made
            assert len(writer.get(path).json["items"]) == number + 1
        process.terminate()
        assert process.wait(20) == 0
    assert api.get(f"{path}/c9").code == 200
