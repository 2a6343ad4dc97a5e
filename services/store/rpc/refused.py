"""Methods of etcd's services that this store does not have: each says so by name."""

from collections.abc import AsyncIterator
from typing import Any

from pilothouse.services.store import errors


def refused(name: str) -> Any:
    """A method that answers UNIMPLEMENTED."""

    async def method(_self: object, _request: object, _context: object) -> None:
        errors.refuse(name)

    return method


def refused_stream(name: str) -> Any:
    """The same for a method that answers with a stream."""

    async def method(_self: object, _request: object, _context: object) -> AsyncIterator[Any]:
        errors.refuse(name)
        yield

    return method
