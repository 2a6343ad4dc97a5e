"""The components of a cluster, one package each, above two shared floors."""
