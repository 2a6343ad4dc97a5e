"""What the server is told on its command line."""

import argparse
from dataclasses import dataclass
from pathlib import Path

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
RUNC = "io.containerd.runc.v2"


@dataclass(frozen=True, slots=True)
class Paths:
    """``root`` outlives a restart of the machine, ``state`` need not (mounts, FIFOs, sockets)."""

    root: Path
    state: Path
    cni_conf: Path
    cni_binaries: tuple[Path, ...]
    cni_cache: Path
    registries: Path | None  # a folder of hosts.toml files, as containerd's certs.d


@dataclass(frozen=True, slots=True)
class Runtime:
    """How containers are run; ``handlers`` are names of RuntimeClasses with their shims."""

    snapshotter: str
    handlers: tuple[tuple[str, str], ...]
    binary: str
    root: str
    systemd_cgroups: bool


@dataclass(frozen=True, slots=True)
class Config:
    """``containerd`` is ``unix:///path``; ``listen`` a path."""

    containerd: str
    listen: Path
    paths: Paths
    runtime: Runtime
    pause_image: str
    stream_address: str
    stream_port: int


def parse(argv: list[str]) -> Config:
    """Exits on a wrong flag."""
    flags = _parser().parse_args(argv)
    handlers = dict(handler.partition("=")[::2] for handler in flags.runtime_handler)
    return Config(
        containerd=_endpoint(flags.containerd),
        listen=Path(flags.listen.removeprefix("unix://")),
        paths=Paths(
            flags.root,
            flags.state,
            flags.cni_conf_dir,
            tuple(flags.cni_bin_dir or [Path("/opt/cni/bin"), Path("/usr/lib/cni")]),
            flags.cni_cache_dir,
            flags.registry_config_path,
        ),
        runtime=Runtime(
            flags.snapshotter,
            tuple({"": RUNC, "runc": RUNC, **handlers}.items()),
            flags.runtime_binary,
            flags.runtime_root,
            flags.cgroup_driver == "systemd",
        ),
        pause_image=flags.pod_infra_container_image,
        stream_address=flags.stream_server_address,
        stream_port=flags.stream_server_port,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cri-shim", description=__doc__)
    add = parser.add_argument
    add("--containerd", default="/run/containerd/containerd.sock", help="its socket")
    add("--listen", default="/run/pilothouse/cri.sock", help="unix:///PATH of the CRI server")
    add("--root", type=Path, default=Path("/var/lib/pilothouse/cri"))
    add("--state", type=Path, default=Path("/run/pilothouse/cri"))
    add("--snapshotter", default="overlayfs")
    add("--pod-infra-container-image", default=PAUSE_IMAGE)
    add("--cni-conf-dir", type=Path, default=Path("/etc/cni/net.d"))
    add("--cni-bin-dir", type=Path, action="append", help="may be repeated")
    add("--cni-cache-dir", type=Path, default=Path("/var/lib/cni"))
    add("--registry-config-path", type=Path, help="a folder of hosts.toml files")
    add("--cgroup-driver", choices=("cgroupfs", "systemd"), default="cgroupfs")
    add("--runtime-handler", action="append", default=[], help="NAME=SHIM, may be repeated")
    add("--runtime-binary", default="", help="of the OCI runtime, when it is not runc")
    add("--runtime-root", default="", help="where the OCI runtime keeps its state")
    add("--stream-server-address", default="127.0.0.1")
    add("--stream-server-port", type=int, default=0)
    return parser


def _endpoint(said: str) -> str:
    return said if said.startswith("unix:") else f"unix://{said}"
