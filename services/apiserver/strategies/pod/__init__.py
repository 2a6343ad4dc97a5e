"""Pods: what a container, a volume or a place may say."""
