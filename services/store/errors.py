"""etcd's refusals: the texts and codes that its clients look for."""

from typing import NoReturn

from pilothouse.services.machinery.errors import ApiError, BadRequest, Expired, NotFound

REQUEST_BYTES_MAX = 3 * 512 * 1024
TXN_OPERATIONS_MAX = 128


class _FailedPrecondition(ApiError):
    grpc = "FAILED_PRECONDITION"


class _OutOfRange(ApiError):
    grpc = "OUT_OF_RANGE"


class _Unimplemented(ApiError):
    grpc = "UNIMPLEMENTED"


class _Unavailable(ApiError):
    grpc = "UNAVAILABLE"


def empty_key() -> ApiError:
    return BadRequest("etcdserver: key is not provided")


def key_not_found() -> ApiError:
    return BadRequest("etcdserver: key not found")


def value_provided() -> ApiError:
    return BadRequest("etcdserver: value is provided")


def lease_provided() -> ApiError:
    return BadRequest("etcdserver: lease is provided")


def too_many_operations() -> ApiError:
    return BadRequest("etcdserver: too many operations in txn request")


def duplicate_key() -> ApiError:
    return BadRequest("etcdserver: duplicate key given in txn request")


def request_too_large() -> ApiError:
    return BadRequest("etcdserver: request is too large")


def compacted() -> ApiError:
    return Expired("etcdserver: mvcc: required revision has been compacted")


def future_revision() -> ApiError:
    return Expired("etcdserver: mvcc: required revision is a future revision")


def lease_not_found() -> ApiError:
    return NotFound("etcdserver: requested lease not found")


def lease_exists() -> ApiError:
    return _FailedPrecondition("etcdserver: lease already exists")


def lease_ttl_too_large() -> ApiError:
    return _OutOfRange("etcdserver: too large lease TTL")


def unavailable(text: str) -> ApiError:
    return _Unavailable(f"etcdserver: {text}")


def refuse(what: str) -> NoReturn:
    """What is asked for is not honoured here, and says so by name."""
    raise _Unimplemented(f"{what} is not supported by this store")
