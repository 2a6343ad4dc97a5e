"""The node agent: makes containers what this node's pods say, and tells the truth of them."""
