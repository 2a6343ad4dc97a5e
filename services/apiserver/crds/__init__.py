"""Custom resources: what a CustomResourceDefinition makes the server serve.

    CRD in the cache ─▶ Definitions ─┬─▶ catalog, cache, schemas: its kinds, served from then on
                                     └─▶ Establishing: its status, and its end

    a custom object  ─▶ default ─▶ prune ─▶ check (its schema, lists, rules)

Everything about a definition is read from the cache's events and nothing from the request that
wrote it, so every server on the store comes to the same. What a schema says is compiled to
closures, once per version, when the first object of it comes.
"""
