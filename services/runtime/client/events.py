"""Events for people: what happened to an object, counted when it happens again."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import ApiError
from pilothouse.services.machinery.objects import Key
from pilothouse.services.machinery.resources import EVENTS
from pilothouse.services.runtime import telemetry
from pilothouse.services.runtime.client.objects import Birth, Change, Objects
from pilothouse.services.runtime.clock import Clock

QUEUE_MAX = 1000
TOGETHER_MAX = 64
"""Notes in one message; more than one only where they come faster than they are written."""
KNOWN_MAX = 4096
MESSAGE_BYTES_MAX = 1024


@dataclass(frozen=True, slots=True)
class Reference:
    """The object that an event is about; it stays the same through all its versions."""

    kind: str
    namespace: str
    name: str
    uid: str
    api_version: str = "v1"
    field_path: str = ""
    resource_version: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Note:
    """What happened: ``type`` is Normal or Warning, ``reason`` one CamelCase word."""

    about: Reference
    type: str
    reason: str
    message: str


@dataclass(slots=True)
class _Known:
    key: Key
    count: int


class Recorder:
    """Writes notes as core/v1 Events in the background; a full queue drops notes."""

    def __init__(
        self,
        objects: Objects,
        clock: Clock,
        component: str,
        host: str = "",
        queue_max: int = QUEUE_MAX,
    ) -> None:
        self._objects = objects
        self._clock = clock
        self._source = {"component": component, **({"host": host} if host else {})}
        self._queue: asyncio.Queue[Note] = asyncio.Queue(queue_max)
        self._known: dict[Note, _Known] = {}
        self._stamped = 0
        self._log = telemetry.logger(part="events")

    def note(self, about: Reference, type_: str, reason: str, message: str) -> None:
        """Remember that this happened; returns at once."""
        try:
            self._queue.put_nowait(Note(about, type_, reason, message[:MESSAGE_BYTES_MAX]))
        except asyncio.QueueFull:
            self._log.warning("event dropped", reason=reason)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            notes = Counter([await self._queue.get()])
            while len(notes) < TOGETHER_MAX and not self._queue.empty():
                notes[self._queue.get_nowait()] += 1
            now = timestamps.render(self._clock.now())
            again = {note: times for note, times in notes.items() if note in self._known}
            new = {note: times for note, times in notes.items() if note not in again}
            try:
                if again:
                    await self._count(again, now)
                if new:
                    await self._create(new, now)
            except ApiError as error:
                self._log.info("events not written", notes=len(notes), error=error.message)

    async def _count(self, notes: Mapping[Note, int], now: str) -> None:
        changes = []
        for note, times in notes.items():
            known = self._known[note]
            known.count += times
            patch = {"count": known.count, "lastTimestamp": now}
            changes.append(Change(EVENTS, known.key, patch))
        answers = await self._objects.patch_many(changes)
        for note, answer in zip(notes, answers, strict=True):
            if isinstance(answer, ApiError):
                del self._known[note]
                self._tell(note, answer)

    async def _create(self, notes: Mapping[Note, int], now: str) -> None:
        bodies = [self._body(note, times, now) for note, times in notes.items()]
        births = [Birth(EVENTS, body["metadata"]["namespace"], body) for body in bodies]
        refusals = await self._objects.create_many(births)
        for (note, times), birth, refusal in zip(notes.items(), births, refusals, strict=True):
            if refusal is not None:
                self._tell(note, refusal)
                continue
            if len(self._known) >= KNOWN_MAX:
                del self._known[next(iter(self._known))]
            key = Key(birth.namespace, birth.body["metadata"]["name"])
            self._known[note] = _Known(key, times)

    def _tell(self, note: Note, error: ApiError) -> None:
        self._log.info("event not written", reason=note.reason, error=error.message)

    def _stamp(self) -> int:
        """The time in nanoseconds, later each time: names sort as things happened."""
        self._stamped = max(self._stamped + 1, round(self._clock.now() * 1e9))
        return self._stamped

    def _body(self, note: Note, times: int, now: str) -> dict[str, Any]:
        about = note.about
        involved = {
            "kind": about.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
            "apiVersion": about.api_version,
            "fieldPath": about.field_path,
            "resourceVersion": about.resource_version,
        }
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{about.name}.{self._stamp():x}",
                "namespace": about.namespace or "default",
            },
            "involvedObject": {key: value for key, value in involved.items() if value},
            "type": note.type,
            "reason": note.reason,
            "message": note.message,
            "source": self._source,
            "reportingComponent": self._source["component"],
            "reportingInstance": self._source.get("host", ""),
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": times,
        }
