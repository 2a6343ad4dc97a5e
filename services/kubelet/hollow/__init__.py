"""Simulated nodes: many hollow kubelets in one process, for tests of a control plane at size.

A hollow kubelet is the kubelet itself (lifecycle, plans, status, probes' rhythm, registration,
leases) on a runtime in memory; what it is *not* is a machine: no process runs, no image is pulled,
no volume is made, and there is no server for logs and exec.

::

    one watch of pods ──▶ fleet ──by spec.nodeName──▶ Pods of the node ──▶ MemoryRuntime
    one watch of nodes ─▶   └──────by name──────────▶ Registration ──▶ Gate ──▶ API server

A Node object that is deleted is a machine that was taken away: its hollow kubelet ends without a
word. One that is created with the name of a simulated node is a machine that came back.
"""
