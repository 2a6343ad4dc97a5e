"""All live objects as the bytes that readers get, and who watches them.

    storage.watch ─▶ Cache ─▶ KindCache ─┬─▶ items (by namespace and name)
                                         ├─▶ history (a ring: watches that resume, older pages)
                                         └─▶ watchers (each a bounded buffer)

Each object is encoded once, when it is written; the ``resourceVersion`` is spliced in here. A
write returns when its revision has been applied here, so whoever wrote reads what was written.
"""
