"""What containers see of their environment, commands and users, one pod a case."""

from collections.abc import Iterator
from typing import Any

import pytest
from kit import printing
from kit.cluster import Cluster
from kit.official import Official
from kit.printing import Printing

ENV_CONFIG, ENV_SECRET = "common/node/configmap.go", "common/node/secrets.go"
ENV_DOWNWARD, EXPANSION = "common/node/downwardapi.go", "common/node/expansion.go"
CONTAINERS, SECURITY = "common/node/containers.go", "common/node/security_context.go"
IDENTITY, KUBELET = "node/security_context.go", "common/node/kubelet.go"
LIMITS = {
    "requests": {"cpu": "250m", "memory": "32Mi"},
    "limits": {"cpu": "1250m", "memory": "64Mi"},
}


def _env(variable: str, kind: str, /, **source: Any) -> dict[str, Any]:
    return {"name": variable, "valueFrom": {f"{kind}Ref": source}}


def _environments() -> Iterator[Printing]:
    for kind, file in (("configMap", ENV_CONFIG), ("secret", ENV_SECRET)):
        lower = kind.lower()
        whole = {"envFrom": [{f"{kind}Ref": {"name": "things"}}]}
        odd = {"envFrom": [{"prefix": "1.$-", f"{kind}Ref": {"name": "things"}}]}
        yield Printing(
            f"env-key-{lower}",
            [(file, f"env var from {kind}KeyRef")],
            "env",
            ["^IT=value-1$"],
            {"env": [_env("IT", f"{kind}Key", name="things", key="one")]},
        )
        yield Printing(
            f"env-all-{lower}",
            [(file, f"envFrom {kind}")],
            "env",
            ["^one=value-1$", "^two=value-2$"],
            whole,
        )
        yield Printing(
            f"env-odd-{lower}",
            [(file, "envFrom with odd prefixes")],
            "cat /proc/1/environ | tr '\\0' '\\n'",
            [r"^1\.\$-one=value-1$"],
            odd,
        )
    fields = {
        "NAME": "metadata.name",
        "SPACE": "metadata.namespace",
        "IP": "status.podIP",
        "HOST": "status.hostIP",
        "HOSTS": "status.hostIPs",
        "POD": "metadata.uid",
    }
    env = [_env(name, "field", fieldPath=path) for name, path in fields.items()]
    yield Printing(
        "env-fields",
        [
            (ENV_DOWNWARD, name)
            for name in ("host IP env", "hostIPs env", "pod UID env", "pod name/namespace/IP env")
        ],
        "env",
        [
            "^NAME=env-fields$",
            "^SPACE=conformance-",
            r"^IP=10\.244\.",
            r"^HOST=10\.90\.",
            r"^HOSTS=10\.90\.",
            r"^POD=[0-9a-f-]{36}$",
        ],
        {"env": env},
    )
    amounts = [
        _env(name, "resourceField", resource=resource)
        for name, resource in (
            ("CL", "limits.cpu"),
            ("CR", "requests.cpu"),
            ("ML", "limits.memory"),
            ("MR", "requests.memory"),
        )
    ]
    yield Printing(
        "env-amounts",
        [(ENV_DOWNWARD, "resourceFieldRef limits/requests env")],
        "env",
        ["^CL=2$", "^CR=1$", "^ML=67108864$", "^MR=33554432$"],
        {"env": amounts, "resources": LIMITS},
    )
    yield Printing(
        "env-allocatable",
        [(ENV_DOWNWARD, "default limits from allocatable env")],
        "env",
        [r"^CL=[1-9]\d*$", r"^ML=\d{9,}$"],
        {"env": amounts[::2]},
    )


def _expansions() -> Iterator[Printing]:
    env = [{"name": "A", "value": "a"}, {"name": "B", "value": "$(A)-b;$$(A);$(NONE)"}]
    yield Printing(
        "composed",
        [(EXPANSION, "compose env vars")],
        "env",
        [r"^B=a-b;\$\(A\);\$\(NONE\)$"],
        {"env": env},
    )
    yield Printing(
        "args",
        [(EXPANSION, "args expansion")],
        "",
        ["^test a$"],
        {"env": env, "command": ["sh", "-c"], "args": ["echo test $(A)"]},
    )
    yield Printing(
        "command",
        [(EXPANSION, "command expansion")],
        "",
        ["^test a$"],
        {"env": env, "command": ["sh", "-c", "echo test $(A)"]},
    )
    volume = {"name": "v", "emptyDir": {}}
    own = [_env("NAME", "field", fieldPath="metadata.name")]
    mounts = [
        {"name": "v", "mountPath": "/v"},
        {"name": "v", "mountPath": "/own", "subPathExpr": "$(NAME)"},
    ]
    yield Printing(
        "expr",
        [(EXPANSION, "subPathExpr")],
        "touch /own/here; ls -d /v/expr/here",
        ["/v/expr/here"],
        **printing.mounted(volume, mounts=mounts, env=own),
    )
    yield Printing(
        "expr-write",
        [(EXPANSION, "subPathExpr write")],
        "echo some >/own/f; cat /v/expr-write/f",
        ["^some$"],
        **printing.mounted(volume, mounts=mounts, env=own),
    )
    yield Printing(
        "hosts",
        [(KUBELET, "hostAliases")],
        "cat /etc/hosts",
        [r"^123\.45\.67\.89\s+foo\s+bar$"],
        pod={"hostAliases": [{"ip": "123.45.67.89", "hostnames": ["foo", "bar"]}]},
    )
    yield Printing(
        "both",
        [(CONTAINERS, "override both"), (CONTAINERS, "override command")],
        "",
        ["^one two$"],
        {"command": ["echo"], "args": ["one", "two"]},
    )
    yield Printing(
        "some-args",
        [(CONTAINERS, "override args")],
        "",
        ["^given$"],
        {"args": ["sh", "-c", "echo given"]},
    )
    yield Printing("said", [(KUBELET, "logs of busybox")], "echo 'Hello World'", ["^Hello World$"])


def _users() -> Iterator[Printing]:
    def secured(
        name: str, line: tuple[str, str], script: str, prints: list[str], **context: Any
    ) -> Printing:
        return Printing(name, [line], script, prints, {"securityContext": context})

    yield secured("nobody", (SECURITY, "runAsUser 65534"), "id -u", ["^65534$"], runAsUser=65534)
    yield secured(
        "unprivileged",
        (SECURITY, "privileged false"),
        "ip link add dummy0 type dummy || echo refused",
        ["^refused$"],
        privileged=False,
    )
    yield secured(
        "writable",
        (SECURITY, "writable rootfs"),
        "echo yes >/f; cat /f",
        ["^yes$"],
        readOnlyRootFilesystem=False,
    )
    yield secured(
        "read-only",
        (KUBELET, "read-only root fs"),
        "echo no >/f || echo refused",
        ["^refused$"],
        readOnlyRootFilesystem=True,
    )
    yield secured(
        "no-more",
        (SECURITY, "allowPrivilegeEscalation false"),
        "grep NoNewPrivs /proc/self/status",
        [r"NoNewPrivs:\s+1"],
        runAsUser=1000,
        allowPrivilegeEscalation=False,
    )
    yield secured(
        "own-ids",
        (IDENTITY, "container runAsUser+runAsGroup"),
        "id",
        ["uid=1001 gid=2002"],
        runAsUser=1001,
        runAsGroup=2002,
    )
    yield Printing(
        "pod-ids",
        [(IDENTITY, "pod runAsUser+runAsGroup")],
        "id",
        ["uid=1001 gid=2002"],
        pod={"securityContext": {"runAsUser": 1001, "runAsGroup": 2002}},
    )
    sysctl = {"name": "kernel.shm_rmid_forced", "value": "1"}
    yield Printing(
        "sysctl",
        [("common/node/sysctl.go", "safe sysctl works")],
        "cat /proc/sys/kernel/shm_rmid_forced",
        ["^1$"],
        pod={"securityContext": {"sysctls": [sysctl]}},
    )


PODS = [pod for table in (_environments, _expansions, _users) for pod in table()]


@pytest.fixture(scope="module")
def started(cluster: Cluster, client: Official) -> Iterator[str]:
    """The namespace where all of them have been started."""
    with printing.started(cluster, client, "conformance-environments", PODS) as name:
        yield name


@pytest.mark.parametrize("pod", printing.cases(PODS))
def test_it_prints(cluster: Cluster, client: Official, started: str, pod: Printing) -> None:
    printing.check(cluster, client, started, pod)
