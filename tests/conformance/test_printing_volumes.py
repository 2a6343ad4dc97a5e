"""What containers see in their volumes, one pod a case."""

from collections.abc import Iterator
from typing import Any

import pytest
from kit import printing
from kit.cluster import Cluster
from kit.official import Official
from kit.printing import Printing

EMPTY, SUBPATH = "common/storage/empty_dir.go", "storage/subpath.go"
FILES = {
    "configmap": "common/storage/configmap_volume.go",
    "secret": "common/storage/secrets_volume.go",
    "projected-configmap": "common/storage/projected_configmap.go",
    "projected-secret": "common/storage/projected_secret.go",
}
DOWNWARD = {
    "downward": "common/storage/downwardapi_volume.go",
    "projected-downward": "common/storage/projected_downwardapi.go",
}
LIMITS = {
    "requests": {"cpu": "250m", "memory": "32Mi"},
    "limits": {"cpu": "1250m", "memory": "64Mi"},
}
STAT = "stat -Lc 'mode %a of %u:%g'"


def _volume(kind: str, **source: Any) -> dict[str, Any]:
    """A volume ``v`` of that kind with the things of the namespace."""
    mode = {"defaultMode": source.pop("mode")} if "mode" in source else {}
    if kind == "configmap":
        return {"name": "v", "configMap": {"name": "things", **source, **mode}}
    if kind == "secret":
        return {"name": "v", "secret": {"secretName": "things", **source, **mode}}
    part = {"configMap" if kind.endswith("configmap") else "secret": {"name": "things", **source}}
    return {"name": "v", "projected": {"sources": [part], **mode}}


def _volumes() -> Iterator[Printing]:
    user = {"securityContext": {"runAsUser": 1000}}
    mapped = {"items": [{"key": "one", "path": "deep/er/file"}]}
    private = {"items": [{"key": "one", "path": "deep/er/file", "mode": 0o400}]}
    read, deep = f"cat /v/one; {STAT} /v/one", f"cat /v/deep/er/file; {STAT} /v/deep/er/file; ls /v"
    for kind, file in FILES.items():
        own = kind.removeprefix("projected-")

        def case(
            name: str,
            script: str,
            prints: list[str],
            kind: str = kind,
            file: str = file,
            **rest: Any,
        ) -> Printing:
            label = "".join(letter if letter.isalnum() else "-" for letter in name.lower())
            return Printing(
                f"{kind}-{label}".replace("--", "-"), [(file, name)], script, prints, **rest
            )

        yield case(
            "volume", read, ["^value-1", "mode 644 of 0:0"], **printing.mounted(_volume(kind))
        )
        yield case("defaultMode", read, ["mode 400"], **printing.mounted(_volume(kind, mode=0o400)))
        yield case(
            "mappings", deep, ["^value-1", "^deep$"], **printing.mounted(_volume(kind, **mapped))
        )
        yield case(
            "mappings with item mode",
            deep,
            ["mode 400"],
            **printing.mounted(_volume(kind, **private)),
        )
        twice = {"volumes": [_volume(kind), _volume(kind) | {"name": "w"}]}
        mounts = [{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/w"}]
        yield case(
            "several volumes",
            "cat /v/one /w/two",
            ["^value-1", "value-2$"],
            container={"volumeMounts": mounts},
            pod=twice,
        )
        if own == "secret":
            grouped = printing.mounted(_volume(kind, mode=0o440), **user)
            grouped["pod"]["securityContext"] = {"fsGroup": 1001}
            script = f"id; {read}"
            prints = ["uid=1000", "1001", "mode 440 of 0:1001", "^value-1"]
            yield case("non-root, defaultMode, fsGroup", script, prints, **grouped)
        else:
            root = "" if kind == "configmap" else "as non-root"
            yield case(
                root or "volume as non-root",
                f"id -u; {read}",
                ["^1000", "^value-1"],
                **printing.mounted(_volume(kind), **user),
            )
            yield case(
                "mappings as non-root",
                f"id -u; {deep}",
                ["^1000", "^value-1"],
                **printing.mounted(_volume(kind, **mapped), **user),
            )
    yield Printing(
        "configmap-binary",
        [(FILES["configmap"], "binary data")],
        "od -An -tx1 /v/binary",
        ["de ad be ef"],
        **printing.mounted(_volume("configmap")),
    )
    yield Printing(
        "secret-of-its-namespace",
        [(FILES["secret"], "same name in another namespace")],
        "cat /v/one",
        ["^value-1"],
        **printing.mounted(_volume("secret")),
    )
    both = [_volume("configmap"), _volume("secret") | {"name": "w"}]
    yield Printing(
        "wrapped",
        [("storage/empty_dir_wrapper.go", "secret + configMap volumes")],
        "cat /v/one /w/two",
        ["^value-1", "value-2"],
        {"volumeMounts": [{"name": n, "mountPath": f"/{n}"} for n in "vw"]},
        {"volumes": both},
    )
    sources = [
        {"configMap": {"name": "things", "items": [{"key": "one", "path": "from-map"}]}},
        {"secret": {"name": "things", "items": [{"key": "two", "path": "from-secret"}]}},
        {"downwardAPI": {"items": [_field("name", "metadata.name")]}},
    ]
    yield Printing(
        "combined",
        [("common/storage/projected_combined.go", "combined projection")],
        "cd /v; cat from-map from-secret name",
        ["value-1", "value-2", "combined"],
        **printing.mounted({"name": "v", "projected": {"sources": sources}}),
    )


def _field(path: str, field: str) -> dict[str, Any]:
    return {"path": path, "fieldRef": {"fieldPath": field}}


def _amount(path: str, resource: str) -> dict[str, Any]:
    return {"path": path, "resourceFieldRef": {"containerName": "main", "resource": resource}}


def _downward() -> Iterator[Printing]:
    amounts = {
        "cpu limit": ("limits.cpu", "^2$"),
        "cpu request": ("requests.cpu", "^1$"),
        "memory limit": ("limits.memory", "^67108864$"),
        "memory request": ("requests.memory", "^33554432$"),
    }
    for kind, file in DOWNWARD.items():

        def volume(*items: Any, kind: str = kind, **mode: Any) -> dict[str, Any]:
            if kind == "downward":
                return {"name": "v", "downwardAPI": {"items": list(items), **mode}}
            sources = [{"downwardAPI": {"items": list(items)}}]
            return {"name": "v", "projected": {"sources": sources, **mode}}

        for name, (resource, expected) in amounts.items():
            yield Printing(
                f"{kind}-{name.replace(' ', '-')}",
                [(file, name)],
                "cat /v/it; echo",
                [expected],
                **printing.mounted(volume(_amount("it", resource)), resources=LIMITS),
            )
        for resource, expected in (("cpu", r"^[1-9]\d*$"), ("memory", r"^\d{9,}$")):
            yield Printing(
                f"{kind}-default-{resource}",
                [(file, f"default {resource} limit")],
                "cat /v/it; echo",
                [expected],
                **printing.mounted(volume(_amount("it", f"limits.{resource}"))),
            )
        named = _field("it", "metadata.name")
        yield Printing(
            f"{kind}-pod-name",
            [(file, "pod name")],
            "cat /v/it",
            [f"^{kind}-pod-name"],
            **printing.mounted(volume(named)),
        )
        yield Printing(
            f"{kind}-default-mode",
            [(file, "DefaultMode")],
            f"{STAT} /v/it",
            ["mode 400"],
            **printing.mounted(volume(named, defaultMode=0o400)),
        )
        yield Printing(
            f"{kind}-item-mode",
            [(file, "item mode")],
            f"{STAT} /v/it",
            ["mode 400"],
            **printing.mounted(volume(named | {"mode": 0o400})),
        )


def _empty_dirs() -> Iterator[Printing]:
    for medium, source in (("default", {}), ("tmpfs", {"medium": "Memory"})):
        volume = {"name": "v", "emptyDir": source}
        kind = "tmpfs" if medium == "tmpfs" else "."
        for user, uid in (("root", 0), ("non-root", 1001)):
            for mode in ("0644", "0666", "0777"):
                script = (
                    f"umask 0; echo content >/v/f; chmod {mode} /v/f; cat /v/f; {STAT} /v/f; "
                    "grep ' /v ' /proc/mounts"
                )
                yield Printing(
                    f"{user}-{mode}-{medium}",
                    [(EMPTY, f"{user},{mode},{medium}")],
                    script,
                    ["^content$", f"mode {int(mode)} of {uid}:", f"^{kind}"],
                    **printing.mounted(volume, securityContext={"runAsUser": uid}),
                )
        name = "default medium mode" if medium == "default" else "tmpfs mode"
        yield Printing(
            f"{medium}-mode",
            [(EMPTY, name)],
            f"{STAT} /v; grep ' /v ' /proc/mounts",
            ["mode 777", f"^{kind}"],
            **printing.mounted(volume),
        )
    beside = {
        "name": "beside",
        "image": "busybox",
        "volumeMounts": [{"name": "v", "mountPath": "/w"}],
        "command": ["sh", "-c", "echo from beside >/w/f.new; mv /w/f.new /w/f"],
    }
    mounts = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    main = {
        "name": "main",
        "image": "busybox",
        **mounts,
        "command": ["sh", "-c", "until cat /v/f; do sleep 0.1; done 2>/dev/null"],
    }
    yield Printing(
        "shared",
        [(EMPTY, "shared between containers")],
        "",
        ["from beside"],
        pod={"containers": [main, beside], "volumes": [{"name": "v", "emptyDir": {}}]},
    )


def _sub_paths() -> Iterator[Printing]:
    projected = {"name": "v", "projected": {"sources": [{"configMap": {"name": "things"}}]}}
    named = {"name": "v", "downwardAPI": {"items": [_field("sub/one", "metadata.name")]}}
    secret = _volume("secret", items=[{"key": "one", "path": "sub/one"}])
    config = _volume("configmap", items=[{"key": "one", "path": "sub/one"}])
    below = [{"name": "v", "mountPath": "/v", "subPath": "sub"}]
    exact = [{"name": "v", "mountPath": "/v/one", "subPath": "one"}]
    over = [{"name": "v", "mountPath": "/etc/resolv.conf", "subPath": "sub/one"}]
    rows = (
        ("configmap pod", config, below, "/v/one", "^value-1"),
        ("configmap, mountPath of existing file", config, over, "/etc/resolv.conf", "^value-1"),
        ("downward pod", named, below, "/v/one", "^subpath-2"),
        ("projected pod", projected, exact, "/v/one", "^value-1"),
        ("secret pod", secret, below, "/v/one", "^value-1"),
    )
    for number, (name, volume, mounts, path, expected) in enumerate(rows):
        yield Printing(
            f"subpath-{number}",
            [(SUBPATH, name)],
            f"cat {path}",
            [expected],
            **printing.mounted(volume, mounts=mounts),
        )


PODS = [pod for table in (_volumes, _downward, _empty_dirs, _sub_paths) for pod in table()]


@pytest.fixture(scope="module")
def started(cluster: Cluster, client: Official) -> Iterator[str]:
    """The namespace where all of them have been started."""
    other = {"metadata": {"name": "things"}, "stringData": {"one": "another"}}
    client.core.create_namespaced_secret("default", other)
    try:
        with printing.started(cluster, client, "conformance-volumes", PODS) as name:
            yield name
    finally:
        client.core.delete_namespaced_secret("things", "default")


@pytest.mark.parametrize("pod", printing.cases(PODS))
def test_it_prints(cluster: Cluster, client: Official, started: str, pod: Printing) -> None:
    printing.check(cluster, client, started, pod)
