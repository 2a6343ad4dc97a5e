"""How a cluster is brought up, looked at and taken down; where services are put together."""
