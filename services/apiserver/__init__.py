"""The only entrance to the cluster's state: REST for people and clients, gRPC for our components.

Both doors lead onto one request path::

    rest/  ─┐
            ├─▶ authenticate ─▶ authorize ─▶ admit ─▶ validate ─▶ store ─▶ cache ─▶ watchers
    rpc/   ─┘

It does nothing else: no controller lives here, and it never talks to a node but to pass on exec,
logs, attach and port-forward. The bytes of every live object are encoded once and kept; every
reader gets those same bytes.
"""
