"""containerd's native services that we call: its events."""
