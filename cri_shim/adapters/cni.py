"""A sandbox's network, by CNI plugins: each call runs in a thread."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pilothouse.cni import invoke
from pilothouse.cni.protocol import Attachment, CniError
from pilothouse.cri_shim.network import attachment
from pilothouse.cri_shim.records import SandboxRecord
from pilothouse.services.machinery.errors import InternalError


class CniNetwork:
    """The network whose configuration is the first in ``configurations``."""

    def __init__(self, configurations: Path, binaries: Sequence[Path], cache: Path) -> None:
        self._configurations = configurations
        self._invoker = invoke.Invoker(binaries, cache)

    def problem(self) -> str:
        """Why no sandbox can have a network; empty when it can."""
        try:
            invoke.load(self._configurations)
        except (CniError, OSError) as error:
            return f"cni plugin not initialized: {error}"
        return ""

    async def attach(self, record: SandboxRecord) -> tuple[str, ...]:
        """Its addresses, the main one first."""
        return await asyncio.to_thread(self._attach, record)

    async def detach(self, record: SandboxRecord) -> None:
        """Give back what it has; fine when that is done."""
        await asyncio.to_thread(self._detach, record)

    def _attach(self, record: SandboxRecord) -> tuple[str, ...]:
        try:
            network = invoke.load(self._configurations)
            result = self._invoker.add(network, _attachment(record))
        except CniError as error:
            raise InternalError(
                f'failed to setup network for sandbox "{record.id}": {error}'
            ) from None
        return tuple(item.address.partition("/")[0] for item in result.ips)

    def _detach(self, record: SandboxRecord) -> None:
        try:
            network = invoke.load(self._configurations)
            self._invoker.delete(network, _attachment(record))
        except CniError as error:
            raise InternalError(
                f'failed to destroy network for sandbox "{record.id}": {error}'
            ) from None


def _attachment(record: SandboxRecord) -> Attachment:
    capabilities: dict[str, Any] = attachment.capabilities(record.config)
    # DEL comes without a namespace when the machine lost it.
    netns = record.netns if Path(record.netns).exists() else ""
    return Attachment(
        container_id=record.id,
        netns=netns,
        arguments=attachment.arguments(record),
        capabilities=capabilities,
    )
