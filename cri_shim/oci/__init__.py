"""The OCI spec of a container, from what CRI asks for and what the image says. Pure."""
