"""The kinds that are served, as data: our table joined with the published v1.37 schemas.

    builtin (a table of names) ─┐
                                ├─▶ Catalog ─▶ Kind ─▶ registry, discovery, OpenAPI, tables
    schemas (read at run time) ─┘

No kind is a hand-written class. What a kind does beyond its schema is a strategy
(:mod:`pilothouse.services.apiserver.strategies`).
"""
