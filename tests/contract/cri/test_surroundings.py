"""What processes in containers find around them, on both servers."""

import json
from pathlib import Path

import grpc
import pytest
from kit.containerd import version
from kit.cri_calls import calling, refusal
from kit.cri_shim import CriShim

from pilothouse.protos.cri.v1 import api_pb2 as cri

DEFAULT = {"profile_type": cri.SecurityProfile.RuntimeDefault}
MASKED, READONLY = ["/proc/kcore", "/proc/keys"], ["/proc/sys", "/proc/bus"]


@pytest.fixture
async def calls(runtime):
    async with calling(runtime) as found:
        yield found


def secured(**context):
    return {"security_context": context}


async def test_user_groups_and_names(calls):
    sandbox = await calls.sandbox()
    show = "id -u; id -g; id -G"
    assert await calls.prints(sandbox, show) == "0\n0\n0"
    found = await calls.prints(
        sandbox, show, linux=secured(run_as_user={"value": 1234}, supplemental_groups=[77, 88])
    )
    assert found.split("\n")[:2] == ["1234", "0"]
    assert set(found.split("\n")[2].split()) == {"0", "77", "88"}
    found = await calls.prints(
        sandbox, show, linux=secured(run_as_user={"value": 5}, run_as_group={"value": 6})
    )
    assert found == "5\n6\n6"
    assert await refusal(
        calls.create(sandbox, linux=secured(run_as_username="nobody-is-called-so"))
    ) is not grpc.StatusCode.OK  # fmt: skip
    await refusal(calls.create(sandbox, "grouped", linux=secured(run_as_group={"value": 6})))


async def test_command_environment_and_directory(calls):
    sandbox = await calls.sandbox()
    envs = [
        {"key": "A", "value": b"1"},
        {"key": "B", "value": b"x=y z"},
        {"key": "A", "value": b"2"},
    ]
    text = await calls.prints(sandbox, "pwd; echo $A $B $HOSTNAME; hostname; echo $PATH",
                              working_dir="/tmp", envs=envs)  # fmt: skip
    lines = text.split("\n")
    assert lines[:3] == ["/tmp", "2 x=y z web", "web"]
    assert "/usr/bin" in lines[3]


async def test_capabilities_and_privileges(calls):
    sandbox = await calls.sandbox()
    show = "grep -E 'CapEff|CapBnd|CapInh|NoNewPrivs|Seccomp:' /proc/self/status"

    async def status(**context):
        lines = (await calls.prints(sandbox, show, linux=secured(**context))).split("\n")
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    usual = await status(seccomp=DEFAULT)
    assert int(usual["CapEff"], 16) == int(usual["CapBnd"], 16) == 0xA80425FB
    assert int(usual["CapInh"], 16) == 0
    assert (usual["NoNewPrivs"], usual["Seccomp"]) == ("0", "2")
    added = await status(
        capabilities={"add_capabilities": ["NET_ADMIN"], "drop_capabilities": ["CHOWN"]},
        no_new_privs=True,
        seccomp={"profile_type": cri.SecurityProfile.Unconfined},
    )
    assert int(added["CapEff"], 16) == (0xA80425FB | 1 << 12) & ~1
    assert (added["NoNewPrivs"], added["Seccomp"]) == ("1", "0")
    none = await status(capabilities={"drop_capabilities": ["ALL"]})
    assert int(none["CapBnd"], 16) == 0
    few = await status(capabilities={"drop_capabilities": ["ALL"], "add_capabilities": ["KILL"]})
    assert int(few["CapBnd"], 16) == 1 << 5
    user = await status(run_as_user={"value": 1000})
    assert int(user["CapEff"], 16) == 0


async def test_the_default_profile_lets_no_namespace_be_made(calls):
    sandbox = await calls.sandbox()
    script = "unshare -U true && echo made"
    context = {"capabilities": {"drop_capabilities": ["SYS_ADMIN"]}, "seccomp": DEFAULT}
    assert "Operation not permitted" in await calls.prints(
        sandbox, script, linux=secured(**context)
    )


async def test_a_profile_of_the_node(calls, tmp_path):
    sandbox = await calls.sandbox()
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
    profile = tmp_path / "no-mkdir.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    local = {"profile_type": cri.SecurityProfile.Localhost, "localhost_ref": str(profile)}
    found = await calls.prints(sandbox, "mkdir /x; echo $?", linux=secured(seccomp=local))
    assert "Operation not permitted" in found
    missing = local | {"localhost_ref": "/no/such/profile.json"}
    await refusal(calls.create(sandbox, linux=secured(seccomp=missing)))


async def test_paths_are_masked_read_only_or_all_there_is(calls):
    sandbox = await calls.sandbox(calls.config(security_context={"privileged": True}))
    show = "wc -c < /proc/keys; echo 1 > /proc/sys/kernel/domainname"
    usual = await calls.prints(
        sandbox, show, linux=secured(masked_paths=MASKED, readonly_paths=READONLY)
    )
    assert usual.startswith("0\n")
    assert "Read-only file system" in usual
    all_ = await calls.prints(sandbox, "ls /dev | wc -l",
                              linux=secured(privileged=True))  # fmt: skip
    assert int(all_.split("\n")[0]) > 15
    fixed = await calls.prints(sandbox, "touch /x; touch /dev/shm/x && echo shm",
                               linux=secured(readonly_rootfs=True))  # fmt: skip
    assert "Read-only file system" in fixed
    assert fixed.endswith("shm")


async def test_namespaces_are_shared_as_asked(calls):
    def modes(**options):
        return {"namespace_options": options}

    pod = await calls.sandbox(calls.config("pod", security_context=modes(pid=cri.POD)))
    await calls.run(pod, "other", command=["sleep", "4242"])
    seen = await calls.prints(pod, "ps", linux=secured(**modes(pid=cri.POD)))
    assert "sleep 4242" in seen
    own = await calls.prints(pod, "ps", linux=secured(**modes(pid=cri.CONTAINER)))
    assert "sleep 4242" not in own
    alone = await calls.run(pod, "alone", command=["sleep", "4343"],
                            linux=secured(**modes(pid=cri.CONTAINER)))  # fmt: skip
    target = modes(pid=cri.TARGET, target_id=alone)
    assert "sleep 4343" in await calls.prints(pod, "ps", linux=secured(**target))
    node = modes(network=cri.NODE, pid=cri.NODE, ipc=cri.NODE)
    config = calls.config("host", security_context=node)
    config.hostname = ""
    host = await calls.sandbox(config)
    assert (await calls.sandbox_status(host)).network.ip == ""
    text = await calls.prints(host, "readlink /proc/self/ns/pid; readlink /proc/self/ns/ipc",
                              linux=secured(**node))  # fmt: skip
    lines = text.split("\n")
    assert lines[0] == str(Path("/proc/self/ns/pid").readlink())
    assert lines[1] == str(Path("/proc/self/ns/ipc").readlink())


async def test_a_privileged_container_needs_a_privileged_sandbox(calls):
    await refusal(calls.create(await calls.sandbox(), linux=secured(privileged=True)))


async def test_names_and_sysctls_of_a_sandbox(calls):
    config = calls.config(sysctls={"net.ipv4.ip_local_port_range": "20000 20010",
                                   "kernel.shm_rmid_forced": "1"})  # fmt: skip
    config.dns_config.CopyFrom(
        cri.DNSConfig(servers=["10.96.0.10"], searches=["a.b"], options=["ndots:5"])
    )
    sandbox = await calls.sandbox(config)
    text = await calls.prints(
        sandbox,
        "cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/kernel/shm_rmid_forced "
        "/etc/resolv.conf; cat /etc/hostname",
    )
    assert text.split("\n")[0].split() == ["20000", "20010"]
    assert text.split("\n")[1:] == [
        "1", "search a.b", "nameserver 10.96.0.10", "options ndots:5", "web",
    ]  # fmt: skip


async def test_mounts_pass_what_they_are_asked_to(calls, tmp_path):
    sandbox = await calls.sandbox()
    (tmp_path / "file").write_text("content")
    mounts = [
        {"container_path": "/rw", "host_path": str(tmp_path)},
        {"container_path": "/ro", "host_path": str(tmp_path), "readonly": True},
        {"container_path": "/deep/er/file", "host_path": str(tmp_path / "file"), "readonly": True},
        {"container_path": "/made", "host_path": str(tmp_path / "made")},
    ]
    script = "cat /deep/er/file; echo x > /rw/x; touch /ro/y; touch /made/z"
    found = await calls.prints(sandbox, script, mounts=mounts)
    assert found.startswith("content")
    assert "/ro/y: Read-only file system" in found
    assert (tmp_path / "x").read_text() == "x\n"
    assert (tmp_path / "made" / "z").exists()


async def test_devices_are_given_by_name(calls):
    sandbox = await calls.sandbox()
    device = {"container_path": "/dev/my-tun", "host_path": "/dev/net/tun", "permissions": "rw"}
    text = await calls.prints(sandbox, "ls -l /dev/my-tun; ls /dev/net", devices=[device])
    assert text.startswith("crw")
    assert "No such file" in text


async def test_a_terminal_is_one(calls):
    id_ = await calls.run(await calls.sandbox(), tty=True, stdin=True,
                          command=["sh", "-c", "tty; echo $TERM; sleep 100"])  # fmt: skip
    lines = await calls.lines((await calls.status(id_)).log_path, 2)
    assert [line.strip() for line in lines] == ["/dev/pts/0", "xterm"]


async def test_what_is_not_honoured_is_refused_by_name(calls, runtime):
    if version() < (2, 0) and not isinstance(runtime, CriShim):
        pytest.skip("containerd passes over CDI before 2.0")
    sandbox = await calls.sandbox()
    for fields in (
        {"CDI_devices": [{"name": "vendor.com/device=0"}]},
        {"annotations": {"cdi.k8s.io/vendor": "vendor.com/device=0"}},
    ):
        code = await refusal(calls.create(sandbox, **fields))
        if isinstance(runtime, CriShim):
            assert code is grpc.StatusCode.INVALID_ARGUMENT
