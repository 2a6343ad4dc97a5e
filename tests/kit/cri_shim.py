"""Our CRI server on a containerd of a test's own, whose CRI plugin is off."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
from kit.containerd import Containerd, containerd, snapshotter

from pilothouse.ops.images.recipes import PAUSE
from pilothouse.protos.cri.v1 import api_pb2 as cri
from pilothouse.protos.cri.v1.api_pb2_grpc import RuntimeServiceStub

OFF = '"io.containerd.grpc.v1.cri", '


@dataclass
class CriShim(Containerd):
    """One containerd and one ``pilothouse cri-shim`` on it."""

    shim: subprocess.Popen | None = None

    @property
    def endpoint(self) -> str:
        return f"unix://{self.root}/cri.sock"

    def start(self) -> None:
        config = self.root / "config.toml"
        if OFF not in config.read_text():
            text = config.read_text().replace("disabled_plugins = [", f"disabled_plugins = [{OFF}")
            config.write_text(text)
        super().start()
        if self.shim is None or self.shim.poll() is not None:
            self.start_shim()

    def start_shim(self) -> None:
        with (self.root / "cri_shim.log").open("ab") as log:
            self.shim = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.netns}", sys.executable, "-m",
                 "pilothouse.cri_shim", *self.flags()],
                stdout=log, stderr=log,
            )  # fmt: skip
        for _ in range(200):
            if self._answers():
                return
            time.sleep(0.05)
        raise RuntimeError((self.root / "cri_shim.log").read_text()[-2000:])

    def flags(self) -> list[str]:
        root = self.root
        return [
            f"--containerd={root}/containerd.sock", f"--listen={self.endpoint}",
            f"--root={root}/cri", f"--state={root}/state/cri", f"--snapshotter={snapshotter(root)}",
            f"--pod-infra-container-image={PAUSE}", f"--cni-conf-dir={root}/cni/net.d",
            "--cni-bin-dir=/usr/lib/cni", f"--cni-cache-dir={root}/cni/cache",
            f"--runtime-root={root}/runc",
        ]  # fmt: skip

    def _answers(self) -> bool:
        with contextlib.suppress(grpc.RpcError), grpc.insecure_channel(self.endpoint) as channel:
            RuntimeServiceStub(channel).Version(cri.VersionRequest(), timeout=1)
            return True
        return False

    def kill_shim(self) -> None:
        """As a crash does it; containerd and containers stay."""
        self.shim.kill()
        self.shim.wait()

    def kill(self) -> None:
        self.kill_shim()
        super().kill()


@contextlib.contextmanager
def cri_shim() -> Iterator[CriShim]:
    """Up, with pause and busybox and a bridge network, until the block ends."""
    with containerd(CriShim) as found:
        yield found
