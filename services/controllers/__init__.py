"""The control loops: each makes one promise of the API true, again and again.

::

    watch ─▶ cache ─▶ queue of keys ─▶ reconcile(key): plan(observed, now) ─▶ writes through the API
                          ▲                                                        │
                          └──────────── what the writes changed comes back ────────┘

One file a controller (``workload/``, ``autoscaling/``, ``network/``, ``node/``, ``storage/``,
``devices/``, ``policy/``, ``identity/``, ``namespace/``, ``garbage/``), strangers to each other.
``adapters/`` answers their questions from shared caches, ``manager`` is the list of them. Nothing
here polls: at rest there is nothing in any queue.
"""
