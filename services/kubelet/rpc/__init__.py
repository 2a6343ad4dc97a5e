"""Inbound gRPC: what runs on this node."""
