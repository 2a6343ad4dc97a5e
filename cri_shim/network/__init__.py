"""How a sandbox gets its network."""
