"""The whole control plane in one process on virtual time, with faults that a seed chooses.

What runs is the product: the API server's request path over the real store (SQLite in memory), all
controllers, the scheduler, and hollow kubelets. What is *not* there is the outside: no socket, no
thread, no second that really passes. Two runs of one seed write the same, in the same order.

::

    VirtualLoop   one thread; when nothing is ready the clock jumps to the next timer
       ├─ Server        store, cache, registry; can be killed between any two commits
       │     ▲ Network  in-process calls: slow, cut, refused, answered and then lost
       ├─ Members       controllers, scheduler, hollow nodes: killed between any two writes
       ├─ Workload      what people do: rollouts, scales, deletions, drains, nodes that die
       └─ Invariants    looked at on every commit, and once more when all has come to rest

``pilothouse simulate-faults --seed 7`` replays a seed and prints its trace; ``--seeds 1000`` looks
for one that fails.
"""
