"""Service traffic on one node: ClusterIP and NodePort as one nftables table of our own.

    Services, EndpointSlices ──▶ rules.py ──▶ contents.py ──▶ changes.py ──▶ adapters/nftables
    (what the cluster says)      (per port)   (table as a     (what differs)  (the kernel)
                                               value)

Each arrow but the last is a pure function; ``proxier.py`` is the loop that drives them. Nodes take
a second, smaller way: ``routes.py`` plans the routes to other nodes' pods.

Not here: no packet passes through this process. The kernel goes on without it, and a restart
refills the table where it stands.
"""
