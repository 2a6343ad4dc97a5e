"""What people of a simulation ask for, by the draws of a seed."""

import random
from typing import Any

from pilothouse.services.kubelet.adapters.hollow import course

Body = dict[str, Any]
Draw = random.Random

EVERY_CODE = (0, 0, 0, 1)
TRACKED = "version"


def _chance(draw: Draw, probability: float) -> bool:
    return draw.random() < probability


def template(labels: dict[str, str], version: int, notes: dict[str, str] | None = None) -> Body:
    """A pod template; another ``version`` is another template."""
    return {
        "metadata": {"labels": labels, "annotations": {TRACKED: str(version), **(notes or {})}},
        "spec": {
            "terminationGracePeriodSeconds": 10,
            "containers": [{"name": "main", "image": f"registry.example/app:v{version}"}],
        },
    }


def notes(draw: Draw, *, may_break: bool = True) -> dict[str, str]:
    """How the containers of a template fare: most run, some are slow to stop, some crash."""
    made: dict[str, str] = {}
    if _chance(draw, 0.3):
        made[course.STOP_SECONDS] = str(draw.choice((0.5, 3, 20)))
    if may_break and _chance(draw, 0.2):
        made[course.EXIT_CODE] = "1"
    return made


def workload(kind: str, name: str, spec: Body, api: str = "apps/v1") -> Body:
    """An object of a kind with a spec."""
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}


def selector(labels: dict[str, str]) -> Body:
    return {"matchLabels": labels}


def strategy(draw: Draw) -> Body:
    """A Deployment's."""
    if _chance(draw, 0.2):
        return {"type": "Recreate", "rollingUpdate": None}
    surge = draw.randint(0, 2)
    unavailable = draw.randint(0 if surge else 1, 2)
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
    }


def deployment(draw: Draw, name: str, labels: dict[str, str]) -> Body:
    return workload(
        "Deployment",
        name,
        {
            "replicas": draw.randint(0, 5),
            "selector": selector(labels),
            "strategy": strategy(draw),
            "revisionHistoryLimit": draw.randint(0, 3),
            "progressDeadlineSeconds": draw.choice((30, 600)),
            "minReadySeconds": draw.choice((0, 0, 3)),
            "template": template(labels, 1, notes(draw)),
        },
    )


def stateful_update(draw: Draw) -> Body:
    """A StatefulSet's updateStrategy."""
    if _chance(draw, 0.2):
        return {"type": "OnDelete", "rollingUpdate": None}
    return {"type": "RollingUpdate", "rollingUpdate": {"partition": draw.choice((0, 0, 0, 1, 2))}}


def statefulset(draw: Draw, name: str, labels: dict[str, str]) -> Body:
    spec: Body = {
        "replicas": draw.randint(0, 4),
        "serviceName": name,
        "selector": selector(labels),
        "podManagementPolicy": draw.choice(("OrderedReady", "Parallel")),
        "updateStrategy": stateful_update(draw),
        "revisionHistoryLimit": draw.randint(0, 3),
        "minReadySeconds": draw.choice((0, 0, 2)),
        "ordinals": {"start": draw.choice((0, 0, 3))},
        "template": template(labels, 1, notes(draw)),
    }
    if _chance(draw, 0.3):
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        spec["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": claim}]
        spec["persistentVolumeClaimRetentionPolicy"] = {
            "whenDeleted": draw.choice(("Retain", "Delete")),
            "whenScaled": draw.choice(("Retain", "Delete")),
        }
    return workload("StatefulSet", name, spec)


def daemon_update(draw: Draw) -> Body:
    """A DaemonSet's updateStrategy."""
    kind = draw.choice(("unavailable", "surge", "OnDelete"))
    if kind == "OnDelete":
        return {"type": "OnDelete", "rollingUpdate": None}
    surge = kind == "surge"
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {
            "maxSurge": draw.randint(1, 2) if surge else 0,
            "maxUnavailable": 0 if surge else draw.randint(1, 2),
        },
    }


def daemonset(draw: Draw, name: str, labels: dict[str, str]) -> Body:
    return workload(
        "DaemonSet",
        name,
        {
            "selector": selector(labels),
            "updateStrategy": daemon_update(draw),
            "template": template(labels, 1, notes(draw)),
        },
    )


def job_spec(draw: Draw) -> Body:
    """Of a Job, or of those that a CronJob makes."""
    completions = draw.randint(1, 6)
    how = {
        course.RUN_SECONDS: str(draw.choice((0, 0.5, 5, 30))),
        course.EXIT_CODE: str(draw.choice(EVERY_CODE)),
    }
    made = template({"kind": "job"}, 1, how)
    made["spec"]["restartPolicy"] = draw.choice(("Never", "Never", "OnFailure"))
    spec: Body = {
        "completions": completions,
        "parallelism": draw.randint(1, 4),
        "backoffLimit": draw.randint(0, 3),
        "template": made,
    }
    if _chance(draw, 0.5):
        spec["completionMode"] = "Indexed"
        if _chance(draw, 0.3) and made["spec"]["restartPolicy"] == "Never":
            spec["backoffLimitPerIndex"] = draw.randint(0, 2)
            spec["backoffLimit"] = 100
        if _chance(draw, 0.3):
            spec["successPolicy"] = {"rules": [{"succeededCount": draw.randint(1, completions)}]}
    if _chance(draw, 0.2):
        spec["activeDeadlineSeconds"] = draw.choice((10, 120))
    if _chance(draw, 0.2):
        spec["ttlSecondsAfterFinished"] = draw.choice((0, 20))
    if made["spec"]["restartPolicy"] == "Never":
        _policies(draw, spec)
    return spec


def _policies(draw: Draw, spec: Body) -> None:
    if _chance(draw, 0.3):
        codes = {"operator": "In", "values": [1]}
        action = draw.choice(("FailJob", "Ignore", "Count"))
        if action == "Ignore":
            spec["activeDeadlineSeconds"] = 120  # nothing else would end it
        spec["podFailurePolicy"] = {"rules": [{"action": action, "onExitCodes": codes}]}
        spec["podReplacementPolicy"] = "Failed"
    else:
        spec["podReplacementPolicy"] = draw.choice(("Failed", "TerminatingOrFailed"))


def job(draw: Draw, name: str) -> Body:
    return workload("Job", name, job_spec(draw), "batch/v1")


def cronjob(draw: Draw, name: str) -> Body:
    """Every minute."""
    spec = {
        "schedule": "* * * * *",
        "concurrencyPolicy": draw.choice(("Allow", "Forbid", "Replace")),
        "successfulJobsHistoryLimit": draw.randint(0, 3),
        "failedJobsHistoryLimit": draw.randint(0, 2),
        "jobTemplate": {"spec": job_spec(draw)},
    }
    return workload("CronJob", name, spec, "batch/v1")


def service(name: str, labels: dict[str, str]) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": labels, "ports": [{"port": 80}]},
    }


def config(name: str) -> Body:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {}}


def named(kind: str, name: str) -> Body:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}
