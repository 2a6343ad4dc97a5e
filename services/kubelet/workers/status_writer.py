"""Tell the API server a pod's status: only what changed, the newest only, until it is heard."""

import asyncio
import contextlib
from typing import Any

from pilothouse.services.kubelet.parts import Parts
from pilothouse.services.kubelet.pod.views import Pod
from pilothouse.services.kubelet.resources import resizing
from pilothouse.services.machinery.errors import ApiError, NotFound
from pilothouse.services.runtime import telemetry

RETRY_FIRST_SECONDS = 0.2
RETRY_MAX_SECONDS = 10.0
PASSING_SECONDS = 0.5
"""What will soon be otherwise is told only when it lasts this long."""
OPTIONAL = ("podIP", "podIPs", "reason", "message", "initContainerStatuses",
            "ephemeralContainerStatuses")  # fmt: skip


def difference(wanted: dict[str, Any], recorded: dict[str, Any]) -> dict[str, Any]:
    """A strategic patch from ``recorded`` to ``wanted``; empty when nothing changed.

    Conditions are merged by type, so those of others stay.
    """
    patch = {key: value for key, value in wanted.items() if recorded.get(key) != value}
    for key in OPTIONAL:
        if key in recorded and key not in wanted:
            patch[key] = None
    if "conditions" in patch:
        known = {item.get("type"): item for item in recorded.get("conditions") or ()}
        changed = [
            # A merge would keep the reason and the message of before.
            {**{key: None for key in ("reason", "message") if key in known.get(item["type"], {})},
             **item}
            for item in wanted["conditions"]
            if known.get(item["type"]) != item
        ]  # fmt: skip
        told = {item["type"] for item in wanted["conditions"]}
        changed += [
            {"$patch": "delete", "type": type_}
            for type_ in resizing.CONDITIONS
            if type_ in known and type_ not in told
        ]
        if changed:
            patch["conditions"] = changed
        else:
            del patch["conditions"]
    for key in ("podIPs", "hostIPs"):
        if patch.get(key) and recorded.get(key):
            patch[key] = [{"$patch": "replace"}, *patch[key]]
    return patch


def _with(pod: Pod, ours: dict[str, Any] | None) -> dict[str, Any]:
    """The pod's status, with what is said here in its place."""
    if ours is None:
        return pod.status
    types = {item["type"] for item in ours["conditions"]} | {*resizing.CONDITIONS}
    others = [item for item in pod.status.get("conditions") or () if item.get("type") not in types]
    return pod.status | ours | {"conditions": [*ours["conditions"], *others]}


class StatusWriter:
    """For one pod. What the API server was told last counts as recorded there."""

    def __init__(self, parts: Parts) -> None:
        self._cluster = parts.cluster
        self._clock = parts.clock
        self._telling = parts.telling
        self._linger_seconds = parts.linger_seconds
        self._offered: tuple[Pod, dict[str, Any]] | None = None
        self._told: dict[str, Any] | None = None
        self._changed = asyncio.Event()
        self._stays = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()

    def recorded(self, pod: Pod) -> dict[str, Any]:
        """The status as the API server has it, what was just written included."""
        return _with(pod, self._told)

    def newest(self, pod: Pod) -> dict[str, Any]:
        """The status as it was offered last: on this the next one builds."""
        if self._offered is None or self._settled.is_set():
            return self.recorded(pod)
        return _with(pod, self._offered[1])

    def refresh(self) -> None:
        """The pod has been read anew: what it says is what is recorded."""
        if self._settled.is_set():
            self._told = None

    def offer(self, pod: Pod, status: dict[str, Any], *, is_passing: bool = False) -> None:
        """Write this if it says anything new; returns at once.

        ``is_passing``: another one is about to follow, and may be written in its place.
        """
        if is_passing:
            self._stays.clear()
        else:
            self._stays.set()
        if not difference(status, self.recorded(pod)) and self._settled.is_set():
            return
        self._offered = (pod, status)
        self._settled.clear()
        self._changed.set()

    async def wait_written(self) -> None:
        """Until the newest status is written, or the pod is no longer there."""
        await self._settled.wait()

    async def run(self) -> None:
        """Write until cancelled."""
        wait = RETRY_FIRST_SECONDS
        while True:
            await self._changed.wait()
            await self._let_pass()
            async with self._telling:
                self._changed.clear()
                is_told = await self._write()
            if not is_told:
                await self._clock.sleep(wait)
                wait = min(wait * 2, RETRY_MAX_SECONDS)
                self._changed.set()
                continue
            wait = RETRY_FIRST_SECONDS
            if not self._changed.is_set():
                self._settled.set()

    async def _let_pass(self) -> None:
        if self._linger_seconds:
            await self._clock.sleep(self._linger_seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PASSING_SECONDS):
                await self._stays.wait()

    async def _write(self) -> bool:
        """What was offered last; whether it is told, or nobody is there to be told."""
        if self._offered is None:
            return True
        pod, status = self._offered
        try:
            patch = difference(status, self.recorded(pod))
            if patch:
                await self._cluster.write_status(pod, patch)
        except NotFound:
            pass
        except ApiError as error:
            log = telemetry.logger(pod=str(pod.metadata.key))
            log.info("status not written", error=error.message)
            return False
        self._told = status
        return True
