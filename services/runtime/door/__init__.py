"""The HTTPS door of a component: whether it is well, and what it measures.

::

    certificate or token ─▶ who ─▶ may they get this path? (the API server says) ─▶ answer
"""
