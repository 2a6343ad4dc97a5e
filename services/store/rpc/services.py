"""The list of gRPC services that a store offers."""

import asyncio

from pilothouse.protos.etcd import rpc_pb2_grpc
from pilothouse.services.runtime.rpc.server import Service
from pilothouse.services.store.keyspace import Keyspace
from pilothouse.services.store.rpc.auth import Auth
from pilothouse.services.store.rpc.kv import KV
from pilothouse.services.store.rpc.lease import Lease
from pilothouse.services.store.rpc.maintenance import Cluster, Maintenance
from pilothouse.services.store.rpc.watch import PROGRESS_SECONDS, Watch


def services_of(
    keyspace: Keyspace,
    group: asyncio.TaskGroup,
    *,
    client_urls: tuple[str, ...] = (),
    progress_seconds: float = PROGRESS_SECONDS,
) -> list[Service]:
    """etcd's KV, Watch, Lease, Cluster and Maintenance over one store.

    ``group`` is the parent of the watch streams' tasks; ``client_urls`` is what MemberList tells.
    """
    kv = KV(keyspace)
    watch = Watch(keyspace, group, progress_seconds=progress_seconds)
    lease = Lease(keyspace)
    cluster = Cluster(keyspace, client_urls)
    maintenance = Maintenance(keyspace)
    auth = Auth()
    return [
        Service("etcdserverpb.KV", lambda s: rpc_pb2_grpc.add_KVServicer_to_server(kv, s)),
        Service("etcdserverpb.Watch", lambda s: rpc_pb2_grpc.add_WatchServicer_to_server(watch, s)),
        Service("etcdserverpb.Lease", lambda s: rpc_pb2_grpc.add_LeaseServicer_to_server(lease, s)),
        Service("etcdserverpb.Auth", lambda s: rpc_pb2_grpc.add_AuthServicer_to_server(auth, s)),
        Service(
            "etcdserverpb.Cluster",
            lambda s: rpc_pb2_grpc.add_ClusterServicer_to_server(cluster, s),
        ),
        Service(
            "etcdserverpb.Maintenance",
            lambda s: rpc_pb2_grpc.add_MaintenanceServicer_to_server(maintenance, s),
        ),
    ]
