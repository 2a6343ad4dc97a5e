"""One request as the verbs see it: who asks, for what, in which words; and its body."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from pilothouse.services.apiserver.requests import (
    DeleteOptions,
    FieldValidation,
    ReadOptions,
    User,
)
from pilothouse.services.apiserver.rest import bodies
from pilothouse.services.apiserver.rest.negotiation import Accepted, accepted, body_encoding
from pilothouse.services.apiserver.rest.paths import TRUE
from pilothouse.services.machinery import names
from pilothouse.services.machinery.errors import (
    BadRequest,
    Cause,
    Invalid,
    RequestEntityTooLarge,
    Subject,
)
from pilothouse.services.runtime import web

OBJECT_SHAPES = frozenset({"Table", "PartialObjectMetadata"})
LIST_SHAPES = frozenset({"Table", "PartialObjectMetadataList"})
NO_SHAPES: frozenset[str] = frozenset()
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# Larger YAML is read in a thread: it takes long.
ASIDE_BYTES_MIN = 64 * 1024
ASIDE_JSON_BYTES_MIN = 512 * 1024
INTEGER_MAX = 2**63 - 1
_WHOLE = re.compile(r"[-+]?[0-9]{1,19}")
# Clients that a person reads directly get indented JSON.
_PEOPLE = ("curl", "Wget", "Mozilla/5.0")
_POLICIES = ("Foreground", "Background", "Orphan")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request whose sender is known."""

    request: web.BaseRequest
    user: User
    query: Mapping[str, str]

    def accepted(self, shapes: frozenset[str] = NO_SHAPES, *, packs: bool = True) -> Accepted:
        """What the client wants of ``shapes``; NotAcceptable where nothing fits."""
        return accepted(self.request.headers.get("Accept", ""), shapes, packs=packs)

    @property
    def pretty(self) -> bool:
        """Whether JSON is to be indented."""
        asked = self.query.get("pretty")
        if asked is not None:
            return asked in TRUE
        return self.request.headers.get("User-Agent", "").startswith(_PEOPLE)

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            RequestEntityTooLarge: it is over 3 MiB; what was not read is read and dropped later.
        """
        request = self.request
        if (request.content_length or 0) > bodies.BODY_BYTES_MAX:
            raise _too_large()
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(CONTINUE)
            request.writer.output_size = 0
        content = request.content
        if content.is_eof() and content.exception() is None:
            # It came with the head, as most do.
            whole = content.read_nowait()
            if len(whole) > bodies.BODY_BYTES_MAX:
                raise _too_large()
            return whole
        read = bytearray()
        try:
            while chunk := await content.readany():
                read += chunk
                if len(read) > bodies.BODY_BYTES_MAX:
                    raise _too_large()
        except (HttpProcessingError, RequestPayloadError):
            raise BadRequest("the body of the request is not what its headers say") from None
        return bytes(read)

    async def document(self) -> bodies.Decoded:
        """The body as one object, read as its content type says."""
        encoding = body_encoding(self.request.headers.get("Content-Type", ""))
        validation = field_validation(self.query)
        body = await self.body()
        if len(body) > (ASIDE_BYTES_MIN if encoding == "yaml" else ASIDE_JSON_BYTES_MIN):
            return await asyncio.to_thread(bodies.decode_object, body, encoding, validation)
        return bodies.decode_object(body, encoding, validation)

    async def delete_options(self) -> DeleteOptions:
        """The DeleteOptions of query and body; the body wins."""
        content: dict[str, Any] = {}
        if self.request.can_read_body:
            body = await self.body()
            if body.strip():
                encoding = body_encoding(self.request.headers.get("Content-Type", ""))
                content = bodies.decode_object(body, encoding, "Ignore").value
        return delete_options(self.query, content)


def parse_query(text: str) -> dict[str, str]:
    """The parameters of a query; of one given several times the first."""
    if not text:
        return {}
    query: dict[str, str] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        query.setdefault(key, value)
    return query


def _too_large() -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"Request entity too large: limit is {bodies.BODY_BYTES_MAX}")


def field_validation(query: Mapping[str, str]) -> FieldValidation:
    """How strictly a body is read; Warn where nothing, or nothing that is known, is said."""
    match query.get("fieldValidation", ""):
        case "Strict":
            return "Strict"
        case "Ignore":
            return "Ignore"
        case _:
            return "Warn"


def read_options(query: Mapping[str, str]) -> ReadOptions:
    """The options of list and watch; BadRequest on numbers that are none."""
    if not query:
        return _NO_READ_OPTIONS
    timeout = query.get("timeoutSeconds", "")
    return ReadOptions(
        label_selector=query.get("labelSelector", ""),
        field_selector=query.get("fieldSelector", ""),
        resource_version=query.get("resourceVersion", ""),
        resource_version_match=query.get("resourceVersionMatch", ""),
        limit=_integer("limit", query.get("limit") or "0"),
        continue_token=query.get("continue", ""),
        allow_bookmarks=query.get("allowWatchBookmarks", "") in TRUE,
        send_initial_events=_given(query, "sendInitialEvents"),
        timeout_seconds=_integer("timeoutSeconds", timeout) if timeout else None,
    )


_NO_READ_OPTIONS = ReadOptions()


def _given(query: Mapping[str, str], name: str) -> bool | None:
    """A parameter that may be absent; given without a value it is true."""
    text = query.get(name)
    return None if text is None else text == "" or text in TRUE


def delete_options(query: Mapping[str, str], content: Mapping[str, Any]) -> DeleteOptions:
    """The options of a delete; Invalid and BadRequest on values that are none."""
    if content.get("kind", "DeleteOptions") != "DeleteOptions":
        raise BadRequest("the body of a delete must be DeleteOptions")
    grace = content.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
    policy = content.get("propagationPolicy") or query.get("propagationPolicy", "")
    orphan = content.get("orphanDependents", query.get("orphanDependents"))
    if orphan is not None:
        if policy:
            why = "orphanDependents and deletionPropagation cannot be both set"
            raise _invalid_option(names.invalid("propagationPolicy", policy, why))
        policy = "Orphan" if orphan in (True, *TRUE) else "Background"
    if policy not in ("", *_POLICIES):
        wrong = names.unsupported("propagationPolicy", policy, (*_POLICIES, "nil"))
        raise _invalid_option(wrong)
    preconditions = content.get("preconditions") or {}
    uid, version = preconditions.get("uid") or "", preconditions.get("resourceVersion") or ""
    if not isinstance(uid, str) or not isinstance(version, str):
        raise BadRequest("preconditions hold text")
    listed = content.get("dryRun") or query.get("dryRun")
    return DeleteOptions(
        grace_period_seconds=None if grace in (None, "") else _integer("gracePeriodSeconds", grace),
        uid=uid,
        resource_version=version,
        propagation_policy=policy,
        cascades=orphan is not None and policy == "Background",
        dry_run=_dry_run(listed[0] if isinstance(listed, list) and listed else listed or None),
    )


def _integer(name: str, value: Any) -> int:
    text = value if isinstance(value, str) else str(value) if type(value) is int else ""
    if not _WHOLE.fullmatch(text) or not -INTEGER_MAX <= int(text) <= INTEGER_MAX:
        raise BadRequest(f"{name} must be a whole number")
    return int(text)


def _dry_run(value: Any) -> bool:
    if value is None:
        return False
    if value != "All":
        raise _invalid_option(names.unsupported("dryRun", [value], ("All",)))
    return True


def _invalid_option(cause: Cause) -> Invalid:
    title = 'DeleteOptions.meta.k8s.io "" is invalid'
    subject = Subject(group="meta.k8s.io", kind="DeleteOptions")
    return Invalid(f"{title}: {cause.field}: {cause.message}", subject=subject, causes=[cause])
