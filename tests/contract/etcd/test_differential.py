"""Whatever is asked, our store and etcd answer the same."""

import contextlib
import queue
from collections.abc import Sequence
from typing import Any

import grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilothouse.protos.etcd import rpc_pb2 as pb

KEYS = [b"", b"a", b"a\0", b"ab", b"b", b"c", b"\xff"]
ENDS = [b"", b"", b"\0", b"a", b"b", b"c", b"d"]
VALUES = [b"", b"1", b"2", b"\xff"]
LEASES = [0, 0, 0, 77, 404]

SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

keys = st.sampled_from(KEYS)
full_keys = st.sampled_from(KEYS[1:])
ends = st.sampled_from(ENDS)
values = st.sampled_from(VALUES)
revisions = st.integers(0, 12)
flags = st.booleans()

# Ties under a sort that is not by key come in any order from etcd: those are compared apart.
ranges = st.builds(
    pb.RangeRequest,
    key=full_keys,
    range_end=ends,
    limit=st.sampled_from([0, 0, 1, 2, -1]),
    sort_order=st.sampled_from([0, 1, 2]),
    keys_only=flags,
    count_only=st.sampled_from([False, False, True]),
    serializable=flags,
)
puts = st.builds(
    pb.PutRequest,
    key=full_keys,
    value=values,
    lease=st.sampled_from(LEASES),
    prev_kv=flags,
    ignore_value=st.sampled_from([False, False, False, True]),
    ignore_lease=st.sampled_from([False, False, False, True]),
)
deletes = st.builds(pb.DeleteRangeRequest, key=full_keys, range_end=ends, prev_kv=flags)
compares = st.one_of(
    st.builds(
        pb.Compare,
        key=full_keys,
        range_end=ends,
        result=st.sampled_from([0, 1, 2, 3]),
        target=st.sampled_from([0, 1, 2, 4]),
        version=st.integers(0, 3),
    ),
    st.builds(
        pb.Compare,
        key=full_keys,
        range_end=ends,
        result=st.sampled_from([0, 1, 2, 3]),
        target=st.just(3),
        value=values,
    ),
    st.builds(
        pb.Compare,
        key=full_keys,
        result=st.sampled_from([0, 1, 2, 3]),
        target=st.just(4),
        lease=st.sampled_from(LEASES),
    ),
)
# etcd 3.4 overlooks that a deletion up to the last key overlaps a put; ours refuses it.
bounded_deletes = st.builds(
    pb.DeleteRangeRequest,
    key=full_keys,
    range_end=st.sampled_from([b"", b"b", b"c", b"d"]),
    prev_kv=flags,
)
plain = st.one_of(
    st.builds(pb.RequestOp, request_range=ranges),
    st.builds(pb.RequestOp, request_put=puts),
    st.builds(pb.RequestOp, request_delete_range=bounded_deletes),
)
inner = st.builds(
    pb.TxnRequest,
    compare=st.lists(compares, max_size=1),
    success=st.lists(plain, max_size=2),
    failure=st.lists(plain, max_size=2),
)
# At most one nested transaction: a key put by one and deleted by the next is ours alone to refuse.
branches = st.tuples(
    st.lists(plain, max_size=3),
    st.lists(st.builds(pb.RequestOp, request_txn=inner), max_size=1),
).map(lambda parts: parts[0] + parts[1])
txns = st.builds(
    pb.TxnRequest, compare=st.lists(compares, max_size=2), success=branches, failure=branches
)
writes = st.one_of(
    puts.map(lambda put: ("Put", put)),
    deletes.map(lambda delete: ("DeleteRange", delete)),
    txns.map(lambda txn: ("Txn", txn)),
)


def outcome(client: Any, method: str, request: Any) -> Any:
    """The answer without who gave it, or the refusal."""
    try:
        response = getattr(client.kv, method)(request, timeout=5)
    except grpc.RpcError as error:
        return error.code(), error.details()
    revision = response.header.revision
    response.header.Clear()
    response.header.revision = revision
    return response


def newest(client: Any) -> int:
    revision: int = client.kv.Range(pb.RangeRequest(key=b"x")).header.revision
    return revision


def reset(pair: Any) -> None:
    """Begin with no key, one lease, and at the same revision (a failed example may differ)."""
    for client in pair.both():
        with contextlib.suppress(grpc.RpcError):
            client.lease.LeaseGrant(pb.LeaseGrantRequest(ID=77, TTL=3600))
        client.kv.Put(pb.PutRequest(key=b"behind"))
    while newest(pair.ours) != newest(pair.theirs):
        behind = min(pair.both(), key=newest)
        behind.kv.Put(pb.PutRequest(key=b"behind"))
    for client in pair.both():
        client.kv.DeleteRange(pb.DeleteRangeRequest(key=b"\0", range_end=b"\0"))


def tell(pair: Any, told: Sequence[tuple[str, Any]]) -> None:
    for method, request in told:
        assert outcome(pair.ours, method, request) == outcome(pair.theirs, method, request)


@SETTINGS
@given(told=st.lists(writes, min_size=1, max_size=8), asked=st.lists(ranges, max_size=4))
def test_writes_and_what_is_read_afterwards(pair: Any, told: Any, asked: Any) -> None:
    reset(pair)
    tell(pair, told)
    tell(pair, [("Range", request) for request in asked])


@SETTINGS
@given(
    told=st.lists(writes, min_size=4, max_size=12),
    request=st.builds(
        pb.RangeRequest, key=full_keys, range_end=ends, limit=st.sampled_from([0, 2])
    ),
    back=revisions,
    forget=revisions,
)
def test_the_past(pair: Any, told: Any, request: Any, back: int, forget: int) -> None:
    reset(pair)
    tell(pair, told)
    last = newest(pair.ours)
    for step in range(-1, 6):
        request.revision = last - step
        tell(pair, [("Range", request)])
    reading = pb.RequestOp(request_range=request)
    writing = pb.RequestOp(request_put=pb.PutRequest(key=b"z", value=b"1"))
    request.revision = last - back
    tell(pair, [("Txn", pb.TxnRequest(success=[writing, reading]))])
    tell(pair, [("Compact", pb.CompactionRequest(revision=last - forget, physical=True))])
    for step in range(8):
        request.revision = last - step
        tell(pair, [("Range", request)])


@SETTINGS
@given(
    told=st.lists(writes, min_size=2, max_size=8),
    bounds=st.tuples(revisions, revisions, revisions, revisions),
    target=st.sampled_from([1, 2, 3, 4]),
    order=st.sampled_from([0, 1, 2]),
    limit=st.sampled_from([0, 2]),
)
def test_sorts_and_bounds(
    pair: Any, told: Any, bounds: Any, target: int, order: int, limit: int
) -> None:
    reset(pair)
    first = newest(pair.ours)
    tell(pair, told)
    names = ["min_mod_revision", "max_mod_revision", "min_create_revision", "max_create_revision"]
    request = pb.RangeRequest(
        key=b"\0",
        range_end=b"\0",
        sort_target=target,
        sort_order=order,
        limit=limit,
        **{name: first + bound for name, bound in zip(names, bounds, strict=True) if bound},
    )
    ours, theirs = (outcome(client, "Range", request) for client in pair.both())
    field = ["key", "version", "create_revision", "mod_revision", "value"][target]
    sorts = [[getattr(kv, field) for kv in response.kvs] for response in (ours, theirs)]
    assert sorts[0] == sorts[1]
    if not limit:
        assert sorted(kv.key for kv in ours.kvs) == sorted(kv.key for kv in theirs.kvs)
    assert (ours.count, ours.more) == (theirs.count, theirs.more)


@settings(SETTINGS, max_examples=30)
@given(
    told=st.lists(writes, min_size=1, max_size=8),
    wanted=st.builds(
        pb.WatchCreateRequest,
        key=keys,
        range_end=ends,
        prev_kv=flags,
        filters=st.sampled_from([[], [0], [1]]),
        fragment=flags,
    ),
)
def test_what_a_watch_sees(pair: Any, told: Any, wanted: Any) -> None:
    reset(pair)
    first = newest(pair.ours)
    tell(pair, told)
    wanted.start_revision = first + 1
    ours, theirs = (watched(client, wanted) for client in pair.both())
    assert ours == theirs


def watched(client: Any, wanted: Any) -> list[Any]:
    """All that one watch tells, up to a put and a deletion of its own first key."""
    key = wanted.key or b"\0"
    last = client.kv.Put(pb.PutRequest(key=key, value=b"end")).header.revision
    gone = client.kv.DeleteRange(pb.DeleteRangeRequest(key=key)).header.revision
    if list(wanted.filters) != [pb.WatchCreateRequest.NODELETE]:
        last = gone
    told: list[Any] = []
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    requests.put(pb.WatchRequest(create_request=wanted))
    stream = client.watch.Watch(iter(requests.get, None), timeout=5)
    for response in stream:
        told += response.events
        if response.created or response.canceled:
            told.append((response.created, response.canceled, response.cancel_reason))
        if response.canceled or (response.events and response.events[-1].kv.mod_revision >= last):
            break
    requests.put(None)
    stream.cancel()
    return told
