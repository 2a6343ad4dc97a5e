"""Ours and a real etcd, side by side, told the same from their first revision on."""

from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import pytest
from kit.stores import real_etcd, store_process

from pilothouse.protos.etcd.rpc_pb2_grpc import KVStub, LeaseStub, MaintenanceStub, WatchStub


class Client:
    """The stubs of one server."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.channel = grpc.insecure_channel(address)
        self.kv = KVStub(self.channel)
        self.lease = LeaseStub(self.channel)
        self.watch = WatchStub(self.channel)
        self.maintenance = MaintenanceStub(self.channel)


@dataclass(frozen=True)
class Pair:
    """The same API twice."""

    ours: Client
    theirs: Client

    def both(self) -> tuple[Client, Client]:
        return self.ours, self.theirs


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("store")
    with real_etcd() as theirs, store_process(folder) as (_, ours):
        pair = Pair(Client(ours), Client(theirs))
        yield pair
        for client in pair.both():
            client.channel.close()
