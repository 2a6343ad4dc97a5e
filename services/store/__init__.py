"""The etcd v3 API over SQLite: one writer, group commit, acknowledged after fsync.

::

    put, txn ─▶ judged at the tip ─▶ staged ─▶ pending group ─▶ journal (one commit, one fsync)
                (revisions, txn)                 (writer)              │
    reads ◀── live keys, durable (revisions) ◀── settle ◀──────────────┘
    watches ◀── hub ◀── publish ◀───────────────┘   └─▶ acknowledge who waits

A library first: ``embedded.open_store`` is what the API server holds in its own process. A service
second: ``rpc`` speaks etcd over the same :class:`keyspace.Keyspace`, and ``etcdctl`` is content.

Live keys are in memory and history is on the disk. What decides (``revisions``, ``txn``,
``requests``, ``leases``, ``compaction``, ``spans``) does no I/O; ``writer``, ``hub``, ``lessor``
and ``keyspace`` wait; ``adapters`` alone touch the disk. It is one member: no raft, no users, no
snapshots over the wire. What it does not honour it refuses by name.
"""
