"""The container runtime, by CRI v1 and by what containerd tells beside it."""
