"""Execute plugins: a network's chain forwards for ADD and CHECK, backwards for DEL."""

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pilothouse.cni import protocol
from pilothouse.cni.protocol import Attachment, CniError, Network, Refusal, Result, VersionInfo

PLUGIN_SECONDS_MAX = 60.0


class Invoker:
    """The runtime's side. Results are kept in ``cache``, so that DEL and CHECK get them."""

    def __init__(self, binaries: Sequence[Path], cache: Path) -> None:
        self._binaries = tuple(binaries)
        self._cache = cache

    def add(self, network: Network, attachment: Attachment) -> Result:
        """Attach; on failure what was done is undone, then CniError."""
        _validate(network, attachment)
        previous: Any = None
        try:
            for plugin in network.plugins:
                previous = self._execute("ADD", network, plugin, attachment, previous)
        except CniError:
            self._undo(network, attachment)
            raise
        self._remember(network, attachment, previous)
        return msgspec.convert(previous, Result)

    def check(self, network: Network, attachment: Attachment) -> None:
        """CniError unless everything is as ADD left it."""
        _validate(network, attachment)
        if network.disable_check or network.cni_version < "0.4.0":
            return
        previous = self._recall(network, attachment)
        if previous is None:
            raise CniError(protocol.UNKNOWN_CONTAINER, "no result of ADD is known")
        for plugin in network.plugins:
            self._execute("CHECK", network, plugin, attachment, previous)

    def delete(self, network: Network, attachment: Attachment) -> None:
        """Detach; fine when it is done already."""
        _validate(network, attachment)
        previous = self._recall(network, attachment)
        for plugin in reversed(network.plugins):
            self._execute("DEL", network, plugin, attachment, previous)
        self._path(network, attachment).unlink(missing_ok=True)

    def version(self, plugin: str) -> VersionInfo:
        """Which versions this plugin speaks."""
        environment = {"CNI_COMMAND": "VERSION", "CNI_PATH": self._search_path()}
        body = msgspec.json.encode({"cniVersion": protocol.VERSION})
        answer = _run(self._find(plugin), environment, body)
        return msgspec.convert(answer, VersionInfo)

    def _undo(self, network: Network, attachment: Attachment) -> None:
        for plugin in reversed(network.plugins):
            try:
                self._execute("DEL", network, plugin, attachment, None)
            except CniError:
                continue

    def _execute(
        self,
        command: str,
        network: Network,
        plugin: dict[str, Any],
        attachment: Attachment,
        previous: Any,
    ) -> Any:
        environment = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": attachment.container_id,
            "CNI_NETNS": attachment.netns,
            "CNI_IFNAME": attachment.interface,
            "CNI_ARGS": ";".join(f"{name}={value}" for name, value in attachment.arguments),
            "CNI_PATH": self._search_path(),
        }
        body = protocol.plugin_input(network, plugin, attachment, previous)
        return _run(self._find(plugin["type"]), environment, body)

    def _search_path(self) -> str:
        return ":".join(str(directory) for directory in self._binaries)

    def _find(self, plugin: str) -> Path:
        for directory in self._binaries:
            path = directory / plugin
            if path.is_file() and os.access(path, os.X_OK):
                return path
        raise CniError(
            protocol.INVALID_NETWORK_CONFIG, f"plugin {plugin!r} is not in {self._search_path()}"
        )

    def _path(self, network: Network, attachment: Attachment) -> Path:
        name = f"{network.name}-{attachment.container_id}-{attachment.interface}"
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        return self._cache / "results" / f"{network.name}-{digest}"

    def _remember(self, network: Network, attachment: Attachment, result: Any) -> None:
        path = self._path(network, attachment)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_bytes(msgspec.json.encode(result))
        fresh.replace(path)

    def _recall(self, network: Network, attachment: Attachment) -> Any:
        try:
            return msgspec.json.decode(self._path(network, attachment).read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):
            return None


def load(directory: Path) -> Network:
    """The network that counts: the first file by name; CniError when there is none."""
    for path in sorted(directory.glob("*")):
        if path.suffix in {".conflist", ".conf", ".json"}:
            return protocol.parse_network(path.read_bytes())
    raise CniError(protocol.INVALID_NETWORK_CONFIG, f"no network configuration in {directory}")


def _validate(network: Network, attachment: Attachment) -> None:
    protocol.validate_network(network)
    protocol.validate_attachment(attachment)


def _run(path: Path, environment: dict[str, str], body: bytes) -> Any:
    """One execution; its answer decoded, None where it says nothing."""
    inherited = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")}
    try:
        done = subprocess.run(
            [path],
            input=body,
            env=inherited | environment,
            capture_output=True,
            timeout=PLUGIN_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CniError(protocol.TRY_AGAIN_LATER, f"{path.name} did not end") from None
    except OSError as error:
        raise CniError(protocol.IO_FAILURE, f"{path.name} can not be run", str(error)) from None
    if done.returncode != 0:
        raise _refusal(path.name, done.stdout, done.stderr)
    try:
        return msgspec.json.decode(done.stdout) if done.stdout.strip() else None
    except msgspec.DecodeError as error:
        raise CniError(protocol.DECODING_FAILURE, f"{path.name} answered", str(error)) from None


def _refusal(name: str, output: bytes, errors: bytes) -> CniError:
    try:
        said = msgspec.json.decode(output, type=Refusal)
    except (msgspec.DecodeError, msgspec.ValidationError):
        text = (output or errors).decode(errors="replace").strip()
        return CniError(protocol.INTERNAL, f"{name} failed", text)
    return CniError(said.code, f"{name}: {said.msg}", said.details)
