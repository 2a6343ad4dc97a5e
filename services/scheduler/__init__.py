"""Gives each pod without a node the best one, and says to people why when there is none.

::

    watch pods, nodes ─▶ NodeTable, Queue ─▶ cycle.schedule ─▶ Decision ─▶ assume ─▶ bind
                            ▲                                     │ refused
                            └──── requeued by what changes ◀──────┘ (event, PodScheduled=False)

What decides (``cycle``, ``plugins``, ``queue``, ``nodetable``) is pure; ``loop`` alone waits and
``adapters`` alone talk to the API server. It never starts, stops or moves a pod that has a node.
"""
