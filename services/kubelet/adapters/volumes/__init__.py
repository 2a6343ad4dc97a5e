"""Pods' directories: volumes from the API, from the host and from images."""
