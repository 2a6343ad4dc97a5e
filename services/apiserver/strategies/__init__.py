"""What a kind does beyond its schema: defaults, what the server fills in, and its rules.

    body ─▶ default ─▶ prepare (server's own fields) ─▶ admission ─▶ check ─▶ storage

One :class:`~.strategy.Strategy` per kind, listed in ``table``; all of it is pure.
"""
