"""Who asks, and may they: authentication and authorization, the same for both doors.

::

    connection ─▶ Authentication (certificate, then token, then anonymous) ─▶ User
    User, Attributes ─▶ Authorization (masters, then nodes, then RBAC) ─▶ Decision

Rules are evaluated by pure functions over what the cache holds; a change of a role or a binding
makes the next request compile them anew.
"""
