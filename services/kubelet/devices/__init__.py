"""Devices of this node that plugins offer: which there are, which pod has which."""
