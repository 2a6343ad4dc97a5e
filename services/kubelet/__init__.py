"""The node agent: makes containers what the pods bound to this node say, and tells the truth about them."""
