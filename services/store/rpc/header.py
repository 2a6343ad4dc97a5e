"""What every answer begins with: who we are and where history stands."""

from pilothouse.protos.etcd import rpc_pb2
from pilothouse.services.store.keyspace import Keyspace

RAFT_TERM = 1


def member_id(keyspace: Keyspace) -> int:
    """The one member of a cluster of one; stable over restarts, as the cluster's own id is."""
    return keyspace.cluster_id >> 1 | 1


def header(keyspace: Keyspace, revision: int) -> rpc_pb2.ResponseHeader:
    """A response's header at a revision."""
    return rpc_pb2.ResponseHeader(
        cluster_id=keyspace.cluster_id,
        member_id=member_id(keyspace),
        revision=revision,
        raft_term=RAFT_TERM,
    )
