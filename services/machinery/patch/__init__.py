"""Patches as functions of documents: nothing given is changed, nothing outside is asked.

JSON merge (RFC 7386), JSON patch (RFC 6902) and Kubernetes' strategic merge, which needs to know
how the lists of a kind merge (:mod:`pilothouse.services.machinery.schema.shape`).
"""
