"""OpenAPI v3 and v2 of every kind that is served, made from the catalog and the schemas.

    Catalog ─▶ operations ─┬─▶ v3: one document per group version ─┐
    Schemas ─▶ definitions ┴─▶ v2: one document of all ────────────┴─▶ library ─▶ serving

A document is built in a thread when it is first asked for, and kept compressed until a kind of its
group version changes. What operations there are is decided here and nowhere else.
"""
