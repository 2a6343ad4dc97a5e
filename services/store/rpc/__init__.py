"""The etcd v3 services over the store: decode, ask, encode."""
