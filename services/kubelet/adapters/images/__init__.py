"""The runtime's images, and with whose credentials they came."""
