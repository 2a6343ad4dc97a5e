"""A cluster on one machine: each node a network namespace with a containerd of its own.

    cluster     names, directories, addresses (values only)
    ledger      every change to the host, written down before it is made, undone backwards
    fabric      namespaces, the bridge between them, addresses and routes
    containerd  one configuration a node, the images it starts with
    services    which processes a cluster is made of
    bring_up    from nothing, or from whatever a crash left, to a cluster that is ready
    take_down   back to the machine as it was

The host's own network is never changed: veth pairs are made inside the namespaces.
"""
