"""Outbound: containerd's services and the machine."""
