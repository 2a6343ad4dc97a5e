"""What confines containers: what the node allows, and what the runtime can do."""
