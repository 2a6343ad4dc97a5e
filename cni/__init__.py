"""Container Network Interface: the spec's types and the runtime's side of it."""
