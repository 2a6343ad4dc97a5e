"""Containers of sandboxes, from their creation to their removal."""
