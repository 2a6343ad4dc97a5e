"""The etcd v3 API over SQLite: one writer, group commit, acknowledged after fsync."""
