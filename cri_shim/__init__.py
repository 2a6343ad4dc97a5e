"""A CRI v1 server on containerd's native services: containers, tasks, snapshots, content, events.

It is what containerd's own CRI plugin is, in our words: it builds the OCI spec of each container
(``oci``), keeps sandboxes (``sandboxes``) and containers (``containers``), attaches pods to their
network through CNI (``network``), and remembers what it must in a small file (``store``). Exits and
their reasons come from the runtime's events, never from polling. It is not a runtime: containerd
keeps images, snapshots and processes, and what runs goes on when this server ends.
"""
