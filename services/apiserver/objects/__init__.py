"""The request path's inside: what happens to an object between a door and the store.

    create: decode ─▶ born ─▶ default ─▶ admit ─▶ check ─▶ put
    change: read ─▶ build ─▶ combine with what was there ─▶ default ─▶ check ─▶ put, again on a race
    remove: read ─▶ mark or delete
    read:   authorize ─▶ cache

:class:`~pilothouse.services.apiserver.registry.Registry` is its face.
"""
