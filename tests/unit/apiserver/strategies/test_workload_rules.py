"""Rules of what owns pods: all that is wrong, in the order in which the real server says it."""

import copy

import pytest

from pilothouse.services.apiserver.strategies.every import BY_KIND
from pilothouse.services.apiserver.strategies.workload.batch import JOB
from pilothouse.services.apiserver.strategies.workload.job_policies import count_indexes

APPS, BATCH = "apps", "batch"
POD = {"containers": [{"name": "c", "image": "i"}]}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": POD}
CHOSEN = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
NEVER = {"spec": {**POD, "restartPolicy": "Never"}}
MISMATCH = (
    'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template '
    "`labels`"
)
AMOUNT = "must be greater than or equal to 0"


def wrong(kind, spec, **metadata):
    strategy = BY_KIND[kind]
    body = copy.deepcopy({"metadata": {"name": "n", "uid": "u", **metadata}, "spec": spec})
    strategy.default(body)
    causes = strategy.check(body) + strategy.check_create(body)
    return [f"{cause.field}: {cause.message}" for cause in causes]


CASES = [
    ("no selector", (APPS, "Deployment"), {"replicas": -1, "template": TEMPLATE},
     [f"spec.replicas: Invalid value: -1: {AMOUNT}", "spec.selector: Required value", MISMATCH]),
    ("nothing", (APPS, "ReplicaSet"), {},
     ["spec.selector: Required value",
      MISMATCH.replace('{"a":"b"}', "null"),
      "spec.template.spec.containers: Required value"]),
    ("a selector that can not be", (APPS, "Deployment"),
     {"selector": {"matchLabels": {"a": "b c"}}, "template": TEMPLATE, "minReadySeconds": -1,
      "progressDeadlineSeconds": -1},
     ["spec.selector.matchLabels: Invalid value: \"b c\": a valid label must be an empty string "
      "or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
      "alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
      "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
      'spec.selector: Invalid value: {"matchLabels":{"a":"b c"}}: invalid label selector',
      f"spec.minReadySeconds: Invalid value: -1: {AMOUNT}",
      f"spec.progressDeadlineSeconds: Invalid value: -1: {AMOUNT}",
      "spec.progressDeadlineSeconds: Invalid value: -1: must be greater than minReadySeconds"]),
    ("an unknown strategy", (APPS, "Deployment"), {**CHOSEN, "strategy": {"type": "x"}},
     ['spec.strategy: Unsupported value: {"Type":"x","RollingUpdate":null}: supported values: '
      '"Recreate", "RollingUpdate"']),
    ("too much at once", (APPS, "Deployment"),
     {**CHOSEN, "strategy": {"rollingUpdate": {"maxUnavailable": "101%", "maxSurge": "x"}}},
     ["spec.strategy.rollingUpdate.maxSurge: Invalid value: \"x\": a valid percent string must be "
      "a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
      "validation is '[0-9]+%')",
      'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater '
      "than 100%"]),
    ("a controller of nothing", ("", "ReplicationController"), {"replicas": -1},
     ["spec.selector: Required value", f"spec.replicas: Invalid value: -1: {AMOUNT}",
      "spec.template: Required value"]),
    ("a controller of others", ("", "ReplicationController"),
     {"selector": {"x": "y"}, "template": TEMPLATE}, [MISMATCH]),
    ("a daemon's two amounts", (APPS, "DaemonSet"),
     {**CHOSEN, "updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}}},
     ["spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when "
      "maxSurge is 0"]),
    ("a daemon without selector", (APPS, "DaemonSet"), {"template": TEMPLATE}, [MISMATCH]),
    ("an empty selector", (APPS, "StatefulSet"), {"selector": {}, "template": TEMPLATE},
     ["spec.selector: Invalid value: {}: empty selector is invalid for statefulset"]),
    ("pods that restart", (BATCH, "Job"), {"template": {"spec": POD}},
     ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"']),
    ("a policy of restarts", (BATCH, "Job"),
     {"template": {"spec": {**POD, "restartPolicy": "Maybe"}}},
     ['spec.template.spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", '
      '"OnFailure", "Never"',
      'spec.template.spec.restartPolicy: Unsupported value: "Maybe": supported values: '
      '"OnFailure", "Never"']),
    ("many indexes", (BATCH, "Job"),
     {"completionMode": "Indexed", "completions": 100_001, "parallelism": 10_001,
      "backoffLimitPerIndex": 1, "template": NEVER},
     ["spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
      "spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when "
      "completions are above 100000 and used with backoff limit per index"]),
    ("a cron without time", (BATCH, "CronJob"),
     {"jobTemplate": {"spec": {"template": {"spec": POD}}}, "successfulJobsHistoryLimit": -1},
     ["spec.schedule: Required value",
      'spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: '
      '"OnFailure", "Never"',
      f"spec.successfulJobsHistoryLimit: Invalid value: -1: {AMOUNT}"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "spec", "told"), [case[1:] for case in CASES])
def test_all_that_is_wrong(kind, spec, told):
    if kind == (BATCH, "Job"):
        body = {"metadata": {"name": "n", "uid": "u"}, "spec": copy.deepcopy(spec)}
        JOB.default(body)
        assert [
            f"{cause.field}: {cause.message}"
            for cause in JOB.check({**body, "spec": {**body["spec"], "manualSelector": True,
                                                     "selector": {}}})
        ] == told  # fmt: skip
        return
    assert wrong(kind, spec) == told


def test_the_last_pod_of_an_indexed_job_has_a_name():
    spec = {"completionMode": "Indexed", "completions": 1000, "template": NEVER,
            "manualSelector": True, "selector": {}}  # fmt: skip
    [told] = wrong((BATCH, "Job"), spec, name="n" * 62)
    assert told.endswith("will not able to create pod with invalid DNS label: " + "n" * 62 + "-999")


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("0", 1), ("0,2-4", 4), ("0-9", 10)]
)  # fmt: skip
def test_indexes_are_counted(text, count):
    assert count_indexes(text, 10) == count


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x", 'cannot convert string to integer for index: "x"'),
        ("10", 'too large index: "10"'),
        ("1-2-3", "at most two parts"),
        ("3-3", "non-increasing order, previous: 3, current: 3"),
        ("4,2", "non-increasing order, previous: 4, current: 2"),
    ],
)
def test_indexes_that_are_none(text, why):
    with pytest.raises(ValueError, match=why):
        count_indexes(text, 10)


def condition(*types):
    return [{"type": name, "status": "True"} for name in types]


DONE = {
    "conditions": condition("SuccessCriteriaMet", "Complete"), "succeeded": 1,
    "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:01Z",
}  # fmt: skip
STATUSES = [
    (DONE, {}, ""),
    ({**DONE, "conditions": condition("Complete")}, {},
     "status.conditions: Invalid value: cannot set Complete=True condition without the "
     "SuccessCriteriaMet=true condition"),
    ({"conditions": condition("Failed"), "startTime": "2026-01-01T00:00:00Z"}, {},
     "status.conditions: Invalid value: cannot set Failed=True condition without the "
     "FailureTarget=true condition"),
    ({**DONE, "active": 1}, {}, "status.active: Invalid value: 1: active>0 is invalid for "
     "finished job"),
    ({"succeeded": 0, "startTime": "2026-01-01T00:00:00Z"}, {**DONE},
     "status.conditions: Invalid value: cannot disable the terminal Complete=True condition"),
    ({**DONE, "completionTime": None}, {},
     "status.completionTime: Required value: completionTime is required for Complete jobs"),
    ({"ready": 2, "active": 1}, {}, "status.ready: Invalid value: 2: cannot set more ready pods "
     "than active"),
    ({"failed": 1}, {"failed": 2}, "status.failed: Invalid value: 1: cannot decrease the failed "
     "counter"),
    ({"conditions": condition("Mine")}, {}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("new", "old", "message"), STATUSES)
def test_what_is_said_of_a_job(new, old, message):
    found = [f"{c.field}: {c.message}" for c in JOB.check_status({"status": new}, {"status": old})]
    assert message in found if message else not found
