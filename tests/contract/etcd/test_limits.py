"""The refusals and edges that no generated request comes to, from both."""

import queue
import time
from typing import Any

import grpc
import pytest

from pilothouse.protos.etcd import rpc_pb2 as pb

PUT = pb.RequestOp(request_put=pb.PutRequest(key=b"limit", value=b"x"))


def refusal(call: Any, request: Any) -> tuple[Any, Any]:
    with pytest.raises(grpc.RpcError) as refused:
        call(request, timeout=5)
    return refused.value.code(), refused.value.details()


@pytest.mark.parametrize(
    ("method", "request_", "code"),
    [
        ("Range", pb.RangeRequest(), "INVALID_ARGUMENT"),
        ("Put", pb.PutRequest(), "INVALID_ARGUMENT"),
        ("Put", pb.PutRequest(key=b"k", value=b"v", ignore_value=True), "INVALID_ARGUMENT"),
        ("Put", pb.PutRequest(key=b"k", lease=1, ignore_lease=True), "INVALID_ARGUMENT"),
        ("Put", pb.PutRequest(key=b"absent", ignore_value=True), "INVALID_ARGUMENT"),
        ("Put", pb.PutRequest(key=b"k", lease=404), "NOT_FOUND"),
        ("Put", pb.PutRequest(key=b"k", value=b"x" * 1_600_000), "INVALID_ARGUMENT"),
        ("DeleteRange", pb.DeleteRangeRequest(), "INVALID_ARGUMENT"),
        ("Txn", pb.TxnRequest(compare=[pb.Compare()]), "INVALID_ARGUMENT"),
        ("Txn", pb.TxnRequest(success=[PUT, PUT]), "INVALID_ARGUMENT"),
        ("Txn", pb.TxnRequest(success=[PUT] * 129), "INVALID_ARGUMENT"),
        ("Txn", pb.TxnRequest(success=[pb.RequestOp()]), "INVALID_ARGUMENT"),
        ("Range", pb.RangeRequest(key=b"k", revision=1 << 40), "OUT_OF_RANGE"),
        ("Compact", pb.CompactionRequest(revision=1 << 40), "OUT_OF_RANGE"),
    ],
)
def test_refusals(pair: Any, method: str, request_: Any, code: str) -> None:
    ours, theirs = (refusal(getattr(client.kv, method), request_) for client in pair.both())
    assert ours == theirs
    assert ours[0] is grpc.StatusCode[code]


def test_leases_are_told_the_same(pair: Any) -> None:
    told = []
    for client in pair.both():
        lease = client.lease
        granted = lease.LeaseGrant(pb.LeaseGrantRequest(ID=5, TTL=100))
        twice = refusal(lease.LeaseGrant, pb.LeaseGrantRequest(ID=5, TTL=100))
        long = refusal(lease.LeaseGrant, pb.LeaseGrantRequest(TTL=10_000_000_000))
        client.kv.Put(pb.PutRequest(key=b"leased", lease=5))
        live = lease.LeaseTimeToLive(pb.LeaseTimeToLiveRequest(ID=5, keys=True))
        kept = next(lease.LeaseKeepAlive(iter([pb.LeaseKeepAliveRequest(ID=5)])))
        gone = next(lease.LeaseKeepAlive(iter([pb.LeaseKeepAliveRequest(ID=6)])))
        before = client.kv.Range(pb.RangeRequest(key=b"leased"))
        revoked = lease.LeaseRevoke(pb.LeaseRevokeRequest(ID=5))
        absent = refusal(lease.LeaseRevoke, pb.LeaseRevokeRequest(ID=5))
        after = lease.LeaseTimeToLive(pb.LeaseTimeToLiveRequest(ID=5))
        listed = [each.ID for each in lease.LeaseLeases(pb.LeaseLeasesRequest()).leases]
        told.append(
            [
                (granted.ID, granted.TTL),
                twice,
                long,
                (live.grantedTTL, list(live.keys), live.TTL > 90),
                (kept.ID, kept.TTL),
                (gone.ID, gone.TTL),
                before.kvs[0].lease,
                revoked.header.revision - before.header.revision,
                absent,
                (after.TTL, after.grantedTTL),
                5 in listed,
            ]
        )
    assert told[0] == told[1]


def test_an_expired_lease_takes_its_keys_in_one_revision(pair: Any) -> None:
    for client in pair.both():
        lease = client.lease.LeaseGrant(pb.LeaseGrantRequest(TTL=1)).ID
        keys = [b"gone/1", b"gone/2"]
        for key in keys:
            revision = client.kv.Put(pb.PutRequest(key=key, lease=lease)).header.revision
        create = pb.WatchCreateRequest(
            key=b"gone/", range_end=b"gone0", start_revision=revision + 1
        )
        events: list[Any] = []
        with Stream(client) as stream:
            stream.ask(create_request=create)
            while len(events) < 2:
                events += stream.next().events
        assert [event.kv.key for event in events] == keys
        assert {event.kv.mod_revision for event in events} == {revision + 1}


class Stream:
    """One watch stream, asked by hand."""

    def __init__(self, client: Any) -> None:
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._responses = client.watch.Watch(iter(self._requests.get, None), timeout=15)

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *failure: object) -> None:
        self._requests.put(None)
        self._responses.cancel()

    def ask(self, **request: Any) -> None:
        self._requests.put(pb.WatchRequest(**request))

    def next(self) -> Any:
        response = next(self._responses)
        told = type(response)()
        told.CopyFrom(response)
        return told


def test_one_stream_carries_many_watches(pair: Any) -> None:
    told = []
    for client in pair.both():
        with Stream(client) as stream:
            said = []
            for request in (
                pb.WatchCreateRequest(key=b"many/1"),
                pb.WatchCreateRequest(key=b"many/2", watch_id=7),
                pb.WatchCreateRequest(key=b"many/3", watch_id=7),
                pb.WatchCreateRequest(key=b"z", range_end=b"a"),
                pb.WatchCreateRequest(key=b"many/4"),
            ):
                stream.ask(create_request=request)
                said.append(stream.next())
            client.kv.Put(pb.PutRequest(key=b"many/2", value=b"1"))
            said.append(stream.next())
            stream.ask(cancel_request=pb.WatchCancelRequest(watch_id=7))
            said.append(stream.next())
            client.kv.Put(pb.PutRequest(key=b"many/2", value=b"2"))
            client.kv.Put(pb.PutRequest(key=b"many/4", value=b"1"))
            said.append(stream.next())
        told.append(
            [
                (
                    each.watch_id,
                    each.created,
                    each.canceled,
                    each.cancel_reason,
                    [event.kv.key for event in each.events],
                )
                for each in said
            ]
        )
    assert told[0] == told[1]


def test_a_watch_behind_compaction_is_cancelled(pair: Any) -> None:
    told = []
    for client in pair.both():
        revision = client.kv.Put(pb.PutRequest(key=b"past", value=b"1")).header.revision
        newest = client.kv.Put(pb.PutRequest(key=b"past", value=b"2")).header.revision
        client.kv.Compact(pb.CompactionRequest(revision=newest, physical=True))
        with Stream(client) as stream:
            stream.ask(create_request=pb.WatchCreateRequest(key=b"past", start_revision=revision))
            said = [stream.next(), stream.next()]
        told.append(
            [
                (each.created, each.canceled, each.compact_revision - newest)
                for each in said
                if each.created
            ]
            + [(said[1].canceled, said[1].compact_revision - newest, len(said[1].events))]
        )
    assert told[0] == told[1]


def test_progress_is_told_on_request(pair: Any) -> None:
    for client in pair.both():
        with Stream(client) as stream:
            stream.ask(create_request=pb.WatchCreateRequest(key=b"progress"))
            stream.next()
            revision = client.kv.Put(pb.PutRequest(key=b"other")).header.revision
            time.sleep(0.3)
            stream.ask(progress_request=pb.WatchProgressRequest())
            told = stream.next()
        assert (told.watch_id, list(told.events)) == (-1, [])
        assert told.header.revision >= revision
