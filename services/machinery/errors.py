"""The errors of the API, named once, after ``metav1.StatusReason``.

Inner code raises these and nothing else; only the edges (``services.runtime.rpc`` and
``services.apiserver.rest``) turn them into status codes, and back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason of an :class:`Invalid`: ``field`` is the path, ``reason`` a ``FieldValue*``."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


@dataclass(frozen=True, slots=True)
class Subject:
    """What the error is about, for ``status.details``."""

    group: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""


class ApiError(Exception):
    """Base of every error that may cross a process boundary."""

    http: ClassVar[int] = 500
    grpc: ClassVar[str] = "INTERNAL"
    reason: ClassVar[str] = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        subject: Subject | None = None,
        causes: Sequence[Cause] = (),
        retry_after_seconds: int = 0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.subject = subject
        self.causes = tuple(causes)
        self.retry_after_seconds = retry_after_seconds
        self.continue_token = ""
        """Where a list that can not go on as it was may be continued, for ``metadata``."""

    def status(self) -> dict[str, Any]:
        """The ``metav1.Status`` of this error."""
        details: dict[str, Any] = {}
        if self.subject is not None:
            named = self.subject
            pairs = {"name": named.name, "group": named.group, "kind": named.kind, "uid": named.uid}
            details.update({key: value for key, value in pairs.items() if value})
        if self.causes:
            details["causes"] = [
                {"reason": cause.reason, "message": cause.message}
                | ({"field": cause.field} if cause.field else {})
                for cause in self.causes
            ]
        if self.retry_after_seconds:
            details["retryAfterSeconds"] = self.retry_after_seconds
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.continue_token} if self.continue_token else {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.http,
        }
        if details:
            status["details"] = details
        return status


class BadRequest(ApiError):
    """The request can not be understood: syntax, parameters, or a name that is no path segment."""

    http, grpc, reason = 400, "INVALID_ARGUMENT", "BadRequest"


class Unauthorized(ApiError):
    """Nobody knows the caller."""

    http, grpc, reason = 401, "UNAUTHENTICATED", "Unauthorized"


class Forbidden(ApiError):
    """The caller is known and may not."""

    http, grpc, reason = 403, "PERMISSION_DENIED", "Forbidden"


class NotFound(ApiError):
    """There is no such object, kind or path."""

    http, grpc, reason = 404, "NOT_FOUND", "NotFound"


class MethodNotAllowed(ApiError):
    """The kind is there and does not know the verb."""

    http, grpc, reason = 405, "UNIMPLEMENTED", "MethodNotAllowed"


class NotAcceptable(ApiError):
    """No encoding that the caller accepts can be given."""

    http, grpc, reason = 406, "INVALID_ARGUMENT", "NotAcceptable"


class AlreadyExists(ApiError):
    """A create found the name taken."""

    http, grpc, reason = 409, "ALREADY_EXISTS", "AlreadyExists"


class Conflict(ApiError):
    """The object changed since it was read: read again and retry."""

    http, grpc, reason = 409, "ABORTED", "Conflict"


class Expired(ApiError):
    """The revision asked for has been compacted: list again."""

    http, grpc, reason = 410, "OUT_OF_RANGE", "Expired"


class RequestEntityTooLarge(ApiError):
    """The body is over the limit."""

    http, grpc, reason = 413, "RESOURCE_EXHAUSTED", "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    """The body's content type is not one this request takes."""

    http, grpc, reason = 415, "INVALID_ARGUMENT", "UnsupportedMediaType"


class Invalid(ApiError):
    """The object is understood and breaks a rule; ``causes`` name the fields."""

    http, grpc, reason = 422, "INVALID_ARGUMENT", "Invalid"


class TooManyRequests(ApiError):
    """Come back after ``retry_after_seconds``."""

    http, grpc, reason = 429, "RESOURCE_EXHAUSTED", "TooManyRequests"


class InternalError(ApiError):
    """A fault of ours."""


class ServiceUnavailable(ApiError):
    """What the request needs does not answer now."""

    http, grpc, reason = 503, "UNAVAILABLE", "ServiceUnavailable"


class Timeout(ApiError):
    """The request took longer than it may."""

    http, grpc, reason = 504, "DEADLINE_EXCEEDED", "Timeout"


BY_REASON: dict[str, type[ApiError]] = {
    error.reason: error
    for error in (
        BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, NotAcceptable,
        AlreadyExists, Conflict, Expired, RequestEntityTooLarge, UnsupportedMediaType, Invalid,
        TooManyRequests, InternalError, ServiceUnavailable, Timeout,
    )
}  # fmt: skip


def is_ending(error: ApiError | None) -> bool:
    """Whether nothing could be made since its namespace is on its way out: no use to try again."""
    return error is not None and any(
        cause.reason == "NamespaceTerminating" for cause in error.causes
    )


def from_status(status: dict[str, Any]) -> ApiError:
    """The error that a ``metav1.Status`` describes; unknown reasons become InternalError."""
    details = status.get("details") or {}
    subject = Subject(
        group=details.get("group", ""),
        kind=details.get("kind", ""),
        name=details.get("name", ""),
        uid=details.get("uid", ""),
    )
    causes = [
        Cause(item.get("field", ""), item.get("message", ""), item.get("reason", ""))
        for item in details.get("causes") or ()
    ]
    error = BY_REASON.get(status.get("reason", ""), InternalError)
    return error(
        status.get("message", ""),
        subject=subject,
        causes=causes,
        retry_after_seconds=details.get("retryAfterSeconds", 0),
    )
