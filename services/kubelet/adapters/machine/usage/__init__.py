"""Read what the node and its pods use: cgroups, /proc, file systems, the runtime's own count."""
