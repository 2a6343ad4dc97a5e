"""The images a cluster needs, made here from Debian packages: no registry, no container builder.

``python -m pilothouse.ops.images DIRECTORY`` downloads the packages (``debian``), lays the root
file systems (``recipes``) and writes one deterministic OCI archive with all of them (``archive``).
"""
