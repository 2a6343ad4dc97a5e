"""The OCI spec: what is asked for is in it, what can not be is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec.structs import replace

from pilothouse.cri_shim import configs
from pilothouse.cri_shim.configs import (
    BIDIRECTIONAL,
    HOST_TO_CONTAINER,
    STRICT,
    Capability,
    CdiDevice,
    ContainerConfig,
    ContainerLinux,
    ContainerSecurity,
    Int64Value,
    KeyValue,
    Mount,
    NamespaceOption,
    PodMetadata,
    PodSandboxConfig,
    PodSandboxLinux,
    Resources,
    SandboxSecurity,
    SecurityProfile,
    UserNamespace,
)
from pilothouse.cri_shim.oci import (
    capabilities,
    container,
    mounts,
    process,
    resources,
    sandbox,
    seccomp,
    signals,
    users,
)
from pilothouse.cri_shim.oci.facts import Device, Machine, SandboxFiles, Wanted
from pilothouse.cri_shim.oci.users import Accounts, User
from pilothouse.cri_shim.ports import ImageConfig
from pilothouse.cri_shim.records import SandboxRecord
from pilothouse.services.machinery.errors import Invalid

ALL_BITS = (1 << 41) - 1
MACHINE = Machine("x86_64", "host", ALL_BITS, recursive_read_only=True)
FILES = SandboxFiles("/s/hostname", "/s/hosts", "/s/resolv.conf", "/s/shm")
IMAGE = ImageConfig(id="sha256:1", ref="i:1", chain_id="sha256:2", entrypoint=("/e",),
                    cmd=("c",), env=("PATH=/bin", "A=image"), working_dir="/w")  # fmt: skip
ACCOUNTS = Accounts(
    "root:x:0:0:r:/root:/bin/sh\napp:x:1000:50::/:/bin/sh\nodd line\n",
    "root:x:0:\nfifty:x:50:\nextra:x:60:app,root\nother:x:70:nobody\n",
)


def pod(**linux):
    config = PodSandboxConfig(
        metadata=PodMetadata("p", "u", "ns"), hostname="web",
        linux=PodSandboxLinux(cgroup_parent="/kube/pod1", **linux),
    )  # fmt: skip
    return SandboxRecord(id="sand", config=config, created_at=1, pid=42, netns="/n/sand",
                         cgroup_path="/kube/pod1/sand")  # fmt: skip


def wanted(config=ContainerConfig(), record=None, **fields):  # noqa: B008 - a frozen value
    given_ = {"user": User(), "machine": MACHINE, "image": IMAGE, "files": FILES, **fields}
    return Wanted(id="cont", config=config, sandbox=record or pod(), **given_)


def secured(**context):
    return ContainerConfig(linux=ContainerLinux(security_context=ContainerSecurity(**context)))


def namespaces(spec):
    return {item["type"]: item.get("path", "") for item in spec["linux"]["namespaces"]}


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        ((), (), ["/e", "c"]),
        ((), ("x",), ["/e", "x"]),
        (("/k",), (), ["/k"]),
        (("/k",), ("x",), ["/k", "x"]),
    ],
)
def test_a_command_takes_the_place_of_what_the_image_says(command, args, expected):
    assert process.arguments(ContainerConfig(command=command, args=args), IMAGE) == expected


def test_without_anything_to_execute_there_is_no_container():
    with pytest.raises(Invalid, match="no command"):
        process.arguments(ContainerConfig(), replace(IMAGE, entrypoint=(), cmd=()))


_names = some.text("ABC_", min_size=1, max_size=3)


@given(
    some.dictionaries(_names, some.text("xy", max_size=3)),
    some.lists(some.tuples(_names, some.text("xy", max_size=3))),
)
def test_each_variable_is_there_once_with_the_value_that_was_said_last(image, asked):
    config = ContainerConfig(envs=tuple(KeyValue(key, value.encode()) for key, value in asked))
    given_image = replace(IMAGE, env=tuple(f"{key}={value}" for key, value in image.items()))
    found = process.environment(config, given_image, "web")
    pairs = dict(item.split("=", 1) for item in found)
    assert len(pairs) == len(found)
    assert {"PATH", "HOSTNAME"} <= pairs.keys()
    for key, value in (image | dict(asked)).items():
        assert pairs[key] == value


@pytest.mark.parametrize(
    ("security", "image_user", "expected"),
    [
        ({}, "", User(0, 0, (0, 60))),
        ({}, "app", User(1000, 50, (50, 60))),
        ({}, "app:extra", User(1000, 60, (60,))),
        ({}, "1000:7", User(1000, 7, (7, 60))),
        ({"run_as_user": Int64Value(1000)}, "", User(1000, 50, (50, 60))),
        ({"run_as_user": Int64Value(9)}, "app", User(9, 0, (0,))),
        ({"run_as_user": Int64Value(9), "run_as_group": Int64Value(8)}, "", User(9, 8, (8,))),
        ({"run_as_username": "app", "supplemental_groups": (5,)}, "", User(1000, 50, (5, 50, 60))),
        (
            {"run_as_username": "app", "supplemental_groups": (5,),
             "supplemental_groups_policy": STRICT},
            "", User(1000, 50, (5, 50)),
        ),
    ],
)  # fmt: skip
def test_the_user_is_looked_up_in_the_images_files(security, image_user, expected):
    assert users.resolve(ContainerSecurity(**security), image_user, ACCOUNTS) == expected


@pytest.mark.parametrize(
    "security",
    [{"run_as_username": "who"}, {"run_as_group": Int64Value(1)}, {"run_as_username": "app:who"}],
)
def test_a_user_that_is_none_is_refused(security):
    with pytest.raises(Invalid):
        users.resolve(ContainerSecurity(**security), "", ACCOUNTS)


def test_capabilities():
    def names(add=(), drop=(), held=ALL_BITS, *, privileged=False):
        asked = Capability(tuple(add), tuple(drop))
        return set(capabilities.granted(asked, held, privileged=privileged))

    assert names() == capabilities.DEFAULT
    assert names(privileged=True) == set(capabilities.ALL)
    assert names(["net_admin"], ["CAP_CHOWN"]) == (
        capabilities.DEFAULT | {"CAP_NET_ADMIN"}
    ) - {"CAP_CHOWN"}  # fmt: skip
    assert names(["KILL"], ["ALL"]) == {"CAP_KILL"}
    assert names(["ALL"], ["KILL"]) == set(capabilities.ALL) - {"CAP_KILL"}
    assert names(["ALL"], held=0b11) == {"CAP_CHOWN", "CAP_DAC_OVERRIDE"}
    with pytest.raises(Invalid, match="CAP_FLY"):
        names(["FLY"])
    sets = capabilities.of_process(Capability(add_ambient_capabilities=("KILL",)), ALL_BITS,
                                   privileged=False)  # fmt: skip
    assert sets["ambient"] == sets["inheritable"] == ["CAP_KILL"]


def test_limits_say_what_is_asked_for_and_nothing_else():
    assert resources.limits(Resources(), counts_swap=True) == {}
    asked = Resources(cpu_shares=2, cpu_quota=5, cpu_period=10, memory_limit_in_bytes=100)
    assert resources.limits(asked, counts_swap=False)["memory"] == {"limit": 100}
    assert resources.limits(asked, counts_swap=True) == {
        "cpu": {"shares": 2, "quota": 5, "period": 10}, "memory": {"limit": 100, "swap": 100},
    }  # fmt: skip
    changed = resources.merged(asked, Resources(cpu_shares=7))
    assert (changed.cpu_shares, changed.cpu_quota, changed.memory_limit_in_bytes) == (7, 5, 100)


def test_cgroups_of_both_drivers():
    assert resources.cgroup_path("/a/b", "id", systemd=False) == "/a/b/id"
    assert resources.cgroup_path("", "id", systemd=False) == "/id"
    said = resources.cgroup_path("/kubepods.slice/kubepods-pod1.slice", "id", systemd=True)
    assert said == "kubepods-pod1.slice:cri-containerd:id"
    assert resources.cgroup_directory(said) == (
        "/kubepods.slice/kubepods-pod1.slice/cri-containerd-id.scope"
    )
    assert resources.cgroup_directory("/a/b/id") == "/a/b/id"


def test_a_score_can_not_be_lowered_without_the_capability():
    assert resources.oom_score_adj(-998, 100, may_lower=True) == -998
    assert resources.oom_score_adj(-998, 100, may_lower=False) == 100
    assert resources.oom_score_adj(1000, 100, may_lower=False) == 1000


def test_what_is_mounted_over_something_takes_its_place():
    asked = (Mount("/dev/shm/", "/x"), Mount("/a/b/c", "/y"), Mount("/a", "/z", readonly=True))
    spec = container.spec(wanted(ContainerConfig(mounts=asked)))
    found = [(item["destination"], item["source"]) for item in spec["mounts"]]
    assert ("/dev/shm", "/s/shm") not in found
    assert [path for path, _ in found[-3:]] == ["/a", "/dev/shm/", "/a/b/c"]
    assert found[0] == ("/proc", "proc")
    assert "rootfsPropagation" not in spec["linux"]


def test_propagation_opens_the_root():
    below = Mount("/a", "/x", propagation=HOST_TO_CONTAINER)
    both = Mount("/b", "/x", propagation=BIDIRECTIONAL)
    for asked, root in (((below,), "rslave"), ((below, both), "rshared")):
        spec = container.spec(wanted(ContainerConfig(mounts=asked)))
        assert spec["linux"]["rootfsPropagation"] == root
    assert mounts.asked(both)["options"] == ["rbind", "rshared", "rw"]


def test_read_only_may_be_recursive():
    asked = Mount("/a", "/x", readonly=True, recursive_read_only=True)
    assert "rro" in mounts.asked(asked)["options"]
    with pytest.raises(Invalid, match="recursive read-only"):
        mounts.asked(replace(asked, readonly=False))
    with pytest.raises(Invalid, match="recursive read-only"):
        container.spec(wanted(ContainerConfig(mounts=(asked,)),
                              machine=MACHINE._replace(recursive_read_only=False)))  # fmt: skip


def test_namespaces_are_the_pauses_but_for_its_own():
    def found(**options):
        config = secured(namespace_options=NamespaceOption(**options))
        return namespaces(container.spec(wanted(config, target_pid=77)))

    assert found(pid=configs.CONTAINER) == {
        "mount": "", "network": "/proc/42/ns/net", "ipc": "/proc/42/ns/ipc",
        "uts": "/proc/42/ns/uts", "pid": "",
    }  # fmt: skip
    assert found(pid=configs.POD)["pid"] == "/proc/42/ns/pid"
    assert found(pid=configs.TARGET)["pid"] == "/proc/77/ns/pid"
    assert "pid" not in found(pid=configs.NODE)
    unified = MACHINE._replace(unified_cgroups=True)
    assert "cgroup" in namespaces(container.spec(wanted(machine=unified)))


def test_privileged_means_all_of_it():
    record = pod(security_context=SandboxSecurity(privileged=True))
    devices = (Device("/dev/x", "c", 1, 2, 0o600, 0, 0),)
    config = secured(privileged=True, masked_paths=("/m",), readonly_paths=("/r",),
                     seccomp=SecurityProfile(configs.RUNTIME_DEFAULT))  # fmt: skip
    spec = container.spec(wanted(config, record, devices=devices))
    linux = spec["linux"]
    assert "seccomp" not in linux
    assert "maskedPaths" not in linux
    assert linux["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert [item["path"] for item in linux["devices"]] == ["/dev/x"]
    assert set(spec["process"]["capabilities"]["effective"]) == set(capabilities.ALL)
    with pytest.raises(Invalid, match="no privileged container"):
        container.spec(wanted(config))


def test_devices_are_allowed_by_number():
    device = Device("/dev/x", "c", 10, 200, 0o666, 0, 0, "rw")
    rules = container.spec(wanted(devices=(device,)))["linux"]["resources"]["devices"]
    assert rules[0] == {"allow": False, "access": "rwm"}
    assert rules[1] == {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rw"}


def test_the_default_profile_knows_the_capabilities():
    def calls(*held):
        rules = seccomp.default(tuple(held), "x86_64")["syscalls"]
        return {name for rule in rules if rule["action"] == "SCMP_ACT_ALLOW" and "args" not in rule
                for name in rule["names"]}  # fmt: skip

    assert {"read", "execve", "arch_prctl"} <= calls()
    assert "mount" not in calls()
    assert "io_uring_setup" not in calls("CAP_SYS_ADMIN")
    assert {"mount", "unshare", "clone"} <= calls("CAP_SYS_ADMIN")
    assert "chroot" in calls("CAP_SYS_CHROOT")


@pytest.mark.parametrize(
    ("path", "type_"),
    [("", configs.UNCONFINED), ("unconfined", configs.UNCONFINED),
     ("runtime/default", configs.RUNTIME_DEFAULT), ("localhost/x.json", configs.LOCALHOST)],
)  # fmt: skip
def test_profiles_may_be_said_the_old_way(path, type_):
    assert seccomp.wanted(None, path).profile_type == type_


def test_what_is_not_honoured_is_refused_by_name():
    user = NamespaceOption(userns_options=UserNamespace(mode=configs.POD))
    for config, word in (
        (ContainerConfig(CDI_devices=(CdiDevice("v.com/d=0"),)), r"v\.com/d=0"),
        (ContainerConfig(annotations={"cdi.k8s.io/x": "y"}), "cdi.k8s.io/x"),
        (secured(namespace_options=user), "user namespaces"),
        (ContainerConfig(mounts=(Mount("/a", "/b", uidMappings=(configs.IdMapping(),)),)), "idmap"),
        (secured(apparmor=SecurityProfile(configs.LOCALHOST, "mine")), "AppArmor"),
    ):
        with pytest.raises(Invalid, match=word):
            container.spec(wanted(config))
    with pytest.raises(Invalid, match="user namespaces"):
        sandbox.refuse(pod(security_context=SandboxSecurity(namespace_options=user)).config)


def test_a_sandbox_of_its_own_and_one_of_the_node():
    spec = sandbox.spec(pod(), "/pause", IMAGE, FILES, MACHINE)
    assert spec["root"] == {"path": "/pause", "readonly": True}
    assert (spec["hostname"], spec["process"]["args"]) == ("web", ["/e", "c"])
    assert namespaces(spec)["network"] == "/n/sand"
    assert spec["linux"]["sysctl"]["net.ipv4.ip_unprivileged_port_start"] == "0"
    options = NamespaceOption(configs.NODE, configs.NODE, configs.NODE)
    host = pod(security_context=SandboxSecurity(namespace_options=options))
    spec = sandbox.spec(host, "/pause", IMAGE, FILES, MACHINE)
    assert namespaces(spec) == {"mount": ""}
    assert "hostname" not in spec
    assert spec["linux"]["sysctl"] == {}
    network = replace(host.config.linux, sysctls={"net.core.somaxconn": "1"})
    with pytest.raises(Invalid, match=r"net\.core\.somaxconn"):
        sandbox.refuse(replace(host.config, linux=network))


@pytest.mark.parametrize(
    ("said", "number"),
    [("", 15), ("SIGTERM", 15), ("TERM", 15), ("9", 9), ("sigusr1", 10), ("SIGRTMIN+3", 37),
     ("RTMAX-1", 63), ("nonsense", 15)],
)  # fmt: skip
def test_signals_by_name_and_number(said, number):
    assert signals.number(said) == number


def test_signals_of_cri_have_their_numbers():
    assert (signals.CRI[1], signals.CRI[23], signals.CRI[65]) == ("SIGABRT", "SIGTERM", "SIGRTMAX")
    assert signals.name(0, "SIGQUIT") == "SIGQUIT"
    assert signals.name(23, "SIGQUIT") == "SIGTERM"
    assert signals.cri("SIGTERM") == 23
    for at, word in enumerate(signals.CRI):
        if word:
            assert signals.number(signals.CRI[signals.cri(word)]) == signals.number(word), at
