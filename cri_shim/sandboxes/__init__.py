"""Pods' sandboxes: a network, namespaces that are shared, and the pause process that holds them."""
