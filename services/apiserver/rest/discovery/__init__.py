"""Which groups, versions and resources there are, as documents made from the catalog. Pure.

    Catalog ─▶ aggregated: all of ``/api`` or ``/apis`` in one document, what clients ask today
            └▶ legacy:     the lists of groups, of versions and of resources, one by one

Kept by :class:`pilothouse.services.apiserver.rest.published.Published` until a kind comes or goes.
"""
