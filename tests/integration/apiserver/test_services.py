"""Priority and fairness, metrics, health and headers of a whole server."""

import re
from concurrent.futures import ThreadPoolExecutor

FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"
SCHEMA_UID, LEVEL_UID = "X-Kubernetes-PF-FlowSchema-UID", "X-Kubernetes-PF-PriorityLevel-UID"
SAMPLE = re.compile(r"[a-z_:]+(\{([a-z_]+=\"[^\"]*\",?)*\})? [-+0-9.eInf]+")


def flow_schema(name, level, user):
    rule = {
        "subjects": [{"kind": "User", "user": {"name": user}}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    }
    spec = {
        "matchingPrecedence": 1000,
        "priorityLevelConfiguration": {"name": level},
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [rule],
    }
    return {"apiVersion": FLOW[6:], "kind": "FlowSchema", "metadata": {"name": name}, "spec": spec}


def priority_level(name, **limited):
    limited = {"nominalConcurrencyShares": 1, "limitResponse": {"type": "Reject"}, **limited}
    return {
        "apiVersion": FLOW[6:],
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": name},
        "spec": {"type": "Limited", "limited": limited},
    }


def created(api, plural, body):
    answer = api.request("POST", f"{FLOW}/{plural}", body)
    assert answer.code == 201, answer.body
    return answer.json


def dangling(api, name):
    conditions = api.get(f"{FLOW}/flowschemas/{name}").json.get("status", {}).get("conditions", [])
    return {each["status"]: each["reason"] for each in conditions if each["type"] == "Dangling"}


def eventually(check):
    for _ in range(100):
        if check():
            return
    raise AssertionError(check)


def test_the_shipped_ones_are_there(api):
    schemas = api.get(f"{FLOW}/flowschemas").json["items"]
    assert {each["metadata"]["name"] for each in schemas} >= {
        "catch-all", "exempt", "global-default", "kube-controller-manager", "kube-scheduler",
        "kube-system-service-accounts", "probes", "service-accounts", "system-leader-election",
        "system-node-high", "system-nodes",
    }  # fmt: skip
    levels = api.get(f"{FLOW}/prioritylevelconfigurations").json["items"]
    assert all(
        each["metadata"]["annotations"]["apf.kubernetes.io/autoupdate-spec"] == "true"
        for each in levels
    )
    assert len(levels) >= 8


def test_requests_are_sorted_by_a_schema_of_the_users(api):
    level = created(api, "prioritylevelconfigurations", priority_level("test-level"))
    schema = created(api, "flowschemas", flow_schema("test-schema", "test-level", "noxu"))
    eventually(lambda: dangling(api, "test-schema") == {"False": "Found"})
    headers = api.get("/version", headers={"Impersonate-User": "noxu"}).headers
    assert headers[SCHEMA_UID] == schema["metadata"]["uid"]
    assert headers[LEVEL_UID] == level["metadata"]["uid"]
    headers = api.get("/version", headers={"Impersonate-User": "foo"}).headers
    assert headers[SCHEMA_UID] not in ("", schema["metadata"]["uid"])
    told = api.get("/metrics").body.decode()
    assert 'apiserver_flowcontrol_nominal_limit_seats{priority_level="test-level"}' in told
    api.request("DELETE", f"{FLOW}/prioritylevelconfigurations/test-level")
    eventually(lambda: dangling(api, "test-schema") == {"True": "NotFound"})
    api.request("DELETE", f"{FLOW}/flowschemas/test-schema")


def test_a_level_without_seats_sends_away(api):
    """Of ten requests that hang, three run: the rest is told to come back, others are served."""
    limited = {"nominalConcurrencyShares": 1, "lendablePercent": 0, "borrowingLimitPercent": 0}
    created(api, "prioritylevelconfigurations", priority_level("narrow", **limited))
    schema = flow_schema("narrow", "narrow", "crowd")
    every = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"]}
    schema["spec"]["rules"][0]["resourceRules"] = [every | {"clusterScope": True}]
    schema = created(api, "flowschemas", schema)
    eventually(lambda: dangling(api, "narrow") == {"False": "Found"})
    path = "/api/v1/pods?resourceVersion=9000000&resourceVersionMatch=NotOlderThan"
    crowd = {"Impersonate-User": "crowd", "Impersonate-Group": "system:authenticated"}
    assert api.get("/version", headers=crowd).headers[SCHEMA_UID] == schema["metadata"]["uid"]
    group = "rbac.authorization.k8s.io"
    binding = {
        "metadata": {"name": "narrow"},
        "subjects": [{"kind": "User", "name": "crowd", "apiGroup": group}],
        "roleRef": {"kind": "ClusterRole", "name": "view", "apiGroup": group},
    }
    assert api.request("POST", f"/apis/{group}/v1/clusterrolebindings", binding).code == 201
    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(api.get, path, headers=crowd) for _ in range(10)]
        answers = [each.result() for each in asked]
    codes = [each.code for each in answers]
    assert set(codes) == {429, 504}
    assert codes.count(504) >= 3
    refused = next(each for each in answers if each.code == 429)
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers[SCHEMA_UID] == schema["metadata"]["uid"]
    assert refused.reason == "TooManyRequests"
    told = {"flow_schema": "narrow", "priority_level": "narrow"}
    count = sample(api, "apiserver_flowcontrol_rejected_requests_total", **told)
    assert count == codes.count(429)
    assert sample(api, "apiserver_flowcontrol_nominal_limit_seats", priority_level="narrow") == 3
    for plural in ("flowschemas", "prioritylevelconfigurations"):
        api.request("DELETE", f"{FLOW}/{plural}/narrow")


def test_a_mandatory_one_comes_back_and_a_suggested_one_too(api):
    for name in ("catch-all", "global-default"):
        assert api.request("DELETE", f"{FLOW}/flowschemas/{name}").code == 200
        eventually(lambda name=name: api.get(f"{FLOW}/flowschemas/{name}").code == 200)


def test_rules_of_both_kinds(api):
    body = flow_schema("bad", "", "x") | {"metadata": {"name": "bad"}}
    body["spec"]["matchingPrecedence"] = 10001
    body["spec"]["rules"][0]["subjects"] = [{"kind": "User"}]
    answer = api.request("POST", f"{FLOW}/flowschemas", body)
    fields = {each["field"] for each in answer.json["details"]["causes"]}
    assert fields >= {
        "spec.matchingPrecedence",
        "spec.priorityLevelConfiguration.name",
        "spec.rules[0].subjects[0].user",
    }
    body = priority_level("bad", lendablePercent=101, limitResponse={"type": "Queue"})
    answer = api.request("POST", f"{FLOW}/prioritylevelconfigurations", body)
    fields = {each["field"] for each in answer.json["details"]["causes"]}
    assert fields == {"spec.limited.lendablePercent", "spec.limited.limitResponse.queuing"}
    queuing = {"queues": 4, "handSize": 8}
    body = priority_level("bad", limitResponse={"type": "Queue", "queuing": queuing})
    answer = api.request("POST", f"{FLOW}/prioritylevelconfigurations", body)
    assert "should not be greater than queues (4)" in answer.json["message"]


def test_metrics_can_be_read(api):
    api.get("/api/v1/namespaces/default/pods")
    answer = api.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4; charset=utf-8")
    lines = answer.body.decode().splitlines()
    wrong = [line for line in lines if not line.startswith("#") and not SAMPLE.fullmatch(line)]
    assert wrong == []
    names = {line.partition("{")[0].partition(" ")[0] for line in lines if line[0] != "#"}
    assert names >= {
        "apiserver_request_total", "apiserver_request_duration_seconds_bucket",
        "apiserver_response_sizes_sum", "apiserver_current_inflight_requests",
        "apiserver_storage_objects", "apiserver_resource_objects", "process_cpu_seconds_total",
        "process_resident_memory_bytes", "kubernetes_build_info",
        "apiserver_flowcontrol_dispatched_requests_total", "apiserver_storage_size_bytes",
        "apiserver_request_sli_duration_seconds_bucket", "authentication_attempts",
        "apiserver_admission_controller_admission_duration_seconds_bucket",
        "apiserver_admission_step_admission_duration_seconds_sum",
        "authenticated_user_requests", "etcd_request_duration_seconds_bucket",
    }  # fmt: skip
    open_ = api.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert open_.headers["Content-Type"].startswith("application/openmetrics-text")
    assert open_.body.endswith(b"# EOF\n")
    api.get("/readyz")
    slis = api.get("/metrics/slis").body
    assert b'kubernetes_healthcheck{name="etcd",type="readyz"} 1' in slis


def sample(api, name, **labels):
    """The value of the one sample with these labels among its own; 0 where there is none."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    found = [
        line
        for line in api.get("/metrics").body.decode().splitlines()
        if line.startswith(f"{name}{{") and all(each in line for each in wanted)
    ]
    assert len(found) <= 1
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def test_metrics_count_what_happened(api, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    asked = {"resource": "configmaps", "verb": "POST", "code": "201", "dry_run": ""}
    stored = {"resource": "configmaps", "operation": "create"}
    sent = {"resource": "configmaps", "group": "", "version": "v1"}
    watching = {"resource": "configmaps", "verb": "WATCH", "scope": "namespace"}
    counted = {
        "apiserver_request_total": asked,
        "etcd_requests_total": stored,
        "apiserver_watch_events_total": sent,
    }
    before = [sample(api, name, **labels) for name, labels in counted.items()]
    objects = sample(api, "apiserver_storage_objects", resource="configmaps")
    since = api.get(path).json["metadata"]["resourceVersion"]
    for number in range(3):
        body = {"metadata": {"name": f"m{number}"}}
        assert api.request("POST", path, body).code == 201
    assert api.request("POST", f"{path}?dryRun=All", {"metadata": {"name": "dry"}}).code == 201
    api.get(f"{path}?watch=1&timeoutSeconds=1&resourceVersion={since}")
    after = [sample(api, name, **labels) for name, labels in counted.items()]
    assert [new - old for old, new in zip(before, after, strict=True)] == [3, 3, 3]
    assert sample(api, "apiserver_storage_objects", resource="configmaps") == objects + 3
    assert sample(api, "apiserver_longrunning_requests", **watching) == 0
    late = {"resource": "secrets", "code": "504"}
    old = sample(api, "apiserver_request_terminations_total", **late)
    query = "resourceVersion=9000000&resourceVersionMatch=NotOlderThan&timeout=100ms"
    assert api.get(f"/api/v1/secrets?{query}").code == 504
    assert sample(api, "apiserver_request_terminations_total", **late) == old + 1
    failed = sample(api, "authentication_attempts", result="error")
    wrong = {"Authorization": "Bearer nonsense"}
    assert api.get("/api/v1/pods", user="", headers=wrong).code == 401
    assert sample(api, "authentication_attempts", result="error") == failed + 1


def test_headers_of_every_answer(api):
    answer = api.get("/api/v1/namespaces/default/pods", headers={"Audit-ID": "mine"})
    assert answer.headers["Audit-Id"] == "mine"
    assert answer.headers["Cache-Control"] == "no-cache, private"
    assert "Server" not in answer.headers
    refused = api.get("/nowhere")
    assert refused.code == 404
    assert len(refused.headers["Audit-Id"]) == 36


def test_deprecated_kinds_warn(api):
    told = api.get("/api/v1/namespaces/default/endpoints").headers["Warning"]
    assert told == (
        '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
    )
    old = 'apiserver_requested_deprecated_apis{group="",removed_release="",resource="endpoints"'
    assert old in api.get("/metrics").body.decode()


def test_a_request_that_takes_too_long_is_told_so(api):
    path = "/api/v1/pods?resourceVersion=9000000&resourceVersionMatch=NotOlderThan&timeout=300ms"
    answer = api.get(path)
    assert (answer.code, answer.reason) == (504, "Timeout")
    assert answer.json["message"] == (
        "Timeout: request did not complete within the allotted timeout"
    )


def test_dumps_of_priority_and_fairness(api):
    text = api.get("/debug/api_priority_and_fairness/dump_priority_levels").body.decode()
    assert text.startswith("PriorityLevelName,\tActiveQueues,")
    assert "\nexempt,\t" in text
