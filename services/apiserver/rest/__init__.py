"""The REST door: HTTP requests in, one call on the registry, bytes out.

::

    server ─▶ dispatch ─▶ paths (what is asked) ─▶ chain (who asks, may they) ─▶ verbs ─▶ registry
                 │                                                                 │
                 └─▶ discovery, openapi, health, version                           └─▶ replies

It decides nothing about objects; it only reads requests and writes replies.
"""
