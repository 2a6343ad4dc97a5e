"""The Node object: who this node is, what it has, how it feels, and who tells it."""
